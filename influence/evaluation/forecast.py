"""How long the retrainings of a command will take, said once the first of them has ended."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from influence.evaluation.result import Point
from influence.runtime.step import say

LONG = 60.0  # seconds from which it is worth saying


@dataclass(eq=False)
class Forecast:
    """The retrainings that are expected, and whether it was said what they take."""

    # Share of the train set that is trained on, by job; all arms share those on the whole.
    shares: dict[tuple, float] = field(default_factory=dict)
    said: bool = False

    def expect(self, arm: str, budget: str, jobs: Iterable[tuple[float, int]]) -> None:
        """Expect the retrainings of an arm: percent pruned and number of each."""
        for percent, number in jobs:
            share = 1.0 if budget == "steps" else 1 - percent / 100
            key = (arm, budget, percent, number) if percent else (number,)
            self.shares[key] = share

    def first(self, point: Point, epochs: int, at_once: int) -> None:
        """Say, after the first retraining, what all of them take if all are as fast as it was."""
        if self.said:
            return
        self.said = True
        trained = point.kept * epochs
        each = point.seconds / at_once  # seconds, where so many retrainings share the device
        seconds = each * sum(self.shares.values())
        if seconds < LONG:
            return
        say(
            f"evaluate: {len(self.shares)} retrainings will take about {seconds / 60:.0f} minutes, "
            f"at {trained / each:,.0f} examples per second; finished ones are not repeated"
        )
