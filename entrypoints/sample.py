"""sample: which examples stay.

Run: python -m entrypoints.sample --scores runs:/<id>/scores --arm el2n:easy
"""

from influence.__main__ import run
from influence.config.parameters import SampleStep


def main(config: SampleStep) -> None:
    """Sample and log the directory as `sample`."""
    from influence import steps
    from influence.report import artifacts
    from influence.sampling.result import Sample
    from influence.scoring.result import Scores
    from influence.tracking import run as tracking

    with tracking.run(
        config, f"sample {config.arm}", f"What {config.arm} keeps.", "sample"
    ) as opened:
        directory = opened.follow(steps.sample(config, Scores(tracking.resolve(config.scores))))
        artifacts.sample(opened, Sample(directory))


if __name__ == "__main__":
    run("sample", main)
