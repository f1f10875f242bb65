"""evaluate: the pruned-accuracy curve.

Run: python -m entrypoints.evaluate --sample runs:/<id>/sample
"""

from influence.__main__ import run
from influence.config.parameters import EvaluateStep


def main(config: EvaluateStep) -> None:
    """Retrain on each subset and log the directory as `curve`."""
    from influence import steps
    from influence.evaluation.result import Curve
    from influence.report import artifacts
    from influence.runtime import engine as cluster
    from influence.sampling.result import Sample
    from influence.tracking import run as tracking

    with tracking.run(config, "evaluate", "The pruned-accuracy curve.", "evaluate") as opened:
        sample = tracking.resolve(config.sample)
        with cluster.engine(config) as engine:
            directory = opened.follow(steps.evaluate(config, Sample(sample), engine))
        artifacts.evaluate(opened, Curve(directory))


if __name__ == "__main__":
    run("evaluate", main)
