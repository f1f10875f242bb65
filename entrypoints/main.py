"""main: from a dataset to the pruned-accuracy curve of every arm. Run: mlflow run ."""

from functools import partial

from influence.command import again, run
from influence.config import MainStep


def main(config: MainStep) -> None:
    """Chain train, score, and per arm sample and evaluate; then compare with random."""
    from influence import artifacts, cluster, flow, steps, tracking

    arms = steps.parse_arms(config.arms)
    note = f"Pruned-accuracy curves of {len(arms)} arms on {config.dataset} with {config.model}."
    name = f"{config.dataset} · {config.model}"
    check, wanted = partial(steps.check_fractions, config), steps.wanted(config.score, arms)
    with tracking.run(config, name, note, "main") as parent, cluster.engine(config) as engine:
        scores = flow.train_and_score(config, engine, wanted, check)
        done = {
            arm: flow.sample_and_evaluate(config, engine, scores, arm) for arm in map(str, arms)
        }
        artifacts.comparison(parent, scores, done, again("main", config))


if __name__ == "__main__":
    run("main", main)
