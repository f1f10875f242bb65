"""main: from a dataset to the pruned-accuracy curve of every arm. Run: mlflow run ."""

from functools import partial

from influence.command import run
from influence.config import EvaluateStep, MainStep, SampleStep, ScoreStep, TrainStep, narrow


def main(config: MainStep) -> None:
    """Chain train, score, and per arm sample and evaluate; then compare with random."""
    from influence import artifacts, cluster, steps, tracking

    arms = steps.parse_arms(config.arms)
    wanted = steps.wanted(config.score, arms)
    note = f"Pruned-accuracy curves of {len(arms)} arms on {config.dataset} with {config.model}."
    name = f"{config.dataset} · {config.model}"
    check, curves = partial(steps.check_fractions, config), {}
    with tracking.run(config, name, note, "main") as parent, cluster.engine(config) as engine:
        knobs = narrow(config, TrainStep)
        with tracking.run(knobs, "train", "Checkpoints and observations.", "train") as child:
            training = child.follow(steps.train(knobs, engine, wanted, check))
            artifacts.train(child, training)
        knobs = narrow(config, ScoreStep, training=str(training), score=wanted)
        with tracking.run(knobs, "score", "Influence scores.", "score") as child:
            scores = child.follow(steps.score(knobs, training, engine))
            artifacts.score(child, scores)
        for arm in map(str, arms):
            knobs = narrow(config, SampleStep, scores=str(scores), arm=arm)
            with tracking.run(knobs, f"sample {arm}", f"What {arm} keeps.", "sample") as child:
                sample = child.follow(steps.sample(knobs, scores))
                artifacts.sample(child, sample)
            knobs = narrow(config, EvaluateStep, sample=str(sample))
            with tracking.run(knobs, arm, f"The curve of {arm}.", "evaluate") as child:
                curves[arm] = child.follow(steps.evaluate(knobs, sample, engine))
                artifacts.evaluate(child, curves[arm])
        artifacts.comparison(parent, curves)


if __name__ == "__main__":
    run("main", main)
