"""train: fine-tune with checkpoints.

Run: python -m entrypoints.train --dataset assistant --model tiny
"""

from influence.__main__ import run
from influence.config.parameters import TrainStep


def main(config: TrainStep) -> None:
    """Train and log the directory as `training`."""
    from influence import steps
    from influence.report import artifacts
    from influence.runtime import engine as cluster
    from influence.tracking import run as tracking
    from influence.training.result import Training

    name = f"train {config.model} on {config.dataset}"
    with tracking.run(config, name, "Checkpoints and training observations.", "train") as opened:
        with cluster.engine(config) as engine:
            directory = opened.follow(steps.train(config, engine))
        artifacts.train(opened, Training(directory))


if __name__ == "__main__":
    run("train", main)
