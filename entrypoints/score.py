"""score: one number per example and score.

Run: python -m entrypoints.score --training runs:/<id>/training
"""

from influence.__main__ import run
from influence.config.parameters import ScoreStep


def main(config: ScoreStep) -> None:
    """Score and log the directory as `scores`."""
    from influence import steps
    from influence.report import artifacts
    from influence.runtime import engine as cluster
    from influence.scoring.result import Scores
    from influence.tracking import run as tracking
    from influence.training.result import Training

    with tracking.run(
        config, f"score {config.score}", "Influence scores of the train set.", "score"
    ) as opened:
        training = tracking.resolve(config.training)
        with cluster.engine(config) as engine:
            directory = opened.follow(steps.score(config, Training(training), engine))
        artifacts.score(opened, Scores(directory))


if __name__ == "__main__":
    run("score", main)
