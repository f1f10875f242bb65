"""main: from a dataset to the pruned-accuracy curve of every arm. Run: mlflow run ."""

from influence.__main__ import run
from influence.config.parameters import MainStep


def main(config: MainStep) -> None:
    """Chain train, score, and per arm sample and evaluate; or run a study of several such."""
    from influence import flow, steps
    from influence.config import studies
    from influence.runtime import engine as cluster
    from influence.tracking import run as tracking

    study = studies.read(config) if config.study else None
    arms = steps.parse_arms(config.arms)
    note = f"Pruned-accuracy curves of {len(arms)} arms on {config.dataset} with {config.model}."
    name, step = f"{config.dataset} · {config.model}", "main"
    if study:
        for variant in study.variants.values():
            steps.parse_arms(variant.arms)
        name, note, step = study.name, study.question, "study"
    with tracking.run(config, name, note, step) as opened, cluster.engine(config) as engine:
        if study:
            flow.study(study, config, engine, opened)
        else:
            flow.compare(config, engine, opened)


if __name__ == "__main__":
    run("main", main)
