"""Intervals and claims of a comparison on simulated retrainings, beside Student's t.

Run: python -m benchmarks.intervals [--repeats 300]
Twelve arms and fractions of three to ten seeds, whose standard deviations are equal, differ, grow
where more is pruned, or grow where an arm collapses; all arms of a fraction share random's luck, so
they are correlated. One gains a point. Writes benchmarks/intervals.json and
docs/images/intervals.png: how often 95 % intervals cover, how wide they are, how often a run claims
a difference that there is not, and how often it finds the gain. Student's t with Bonferroni's
correction is what the intervals were before.
"""

import argparse
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy import stats

from benchmarks import measuring
from influence.evaluation.shared_variance import holm, share
from influence.plots.style import COLOURS, DARK, GREY, styled

KEPT = np.array([0.7, 0.5, 0.3, 0.1])  # shares of the train set
COMPARISONS, SEEDS, GAIN = 12, (3, 5, 10), 1.0
USUAL = 0.5  # points that a difference varies
METHODS = ("Student's t", "shared variance")
KINDS = {
    "equal": "equal",
    "unequal": "unequal (log-standard deviation 0.5)",
    "trend": "growing with the share pruned",
    "collapse": "four arms collapse",
}


def drawn(
    kind: str, seeds: int, generator: np.random.Generator, count: int = COMPARISONS
) -> tuple[np.ndarray, np.ndarray]:
    """Return differences to a shared random baseline (comparisons, seeds), and their true means."""
    fraction, truth = np.arange(count) % len(KEPT), np.zeros(count)
    deviations = np.full(count, USUAL)
    if kind == "unequal":
        deviations *= np.exp(0.5 * generator.standard_normal(count))
    if kind == "trend":  # five times as much where most is pruned
        deviations *= 0.6 * np.exp(np.linspace(0, 1.6, len(KEPT)))[fraction]
    if kind == "collapse":
        lost = count // 3
        deviations[-lost:] = np.exp(generator.uniform(0, 1.6, lost))
        truth[-lost:] = -generator.uniform(5, 50, lost)
    baseline = generator.standard_normal((len(KEPT), seeds))[fraction]
    noise = (generator.standard_normal((count, seeds)) + baseline) / np.sqrt(2)
    return truth[:, None] + deviations[:, None] * noise, truth


def measured(kind: str, seeds: int, repeats: int) -> list[dict[str, Any]]:
    """Return coverage, width, false claims and power of both methods in one setting."""
    generator = np.random.default_rng(0)
    rows: dict[str, list[tuple[float, ...]]] = {method: [] for method in METHODS}
    count, degrees = np.full(COMPARISONS, seeds), np.full(COMPARISONS, seeds - 1.0)
    kept = KEPT[np.arange(COMPARISONS) % len(KEPT)]
    for _ in range(repeats):
        values, truth = drawn(kind, seeds, generator)
        means, variances = values.mean(1), values.var(1, ddof=1)
        known = share(variances, degrees, means, kept)
        assert known is not None
        gained = np.where(np.arange(COMPARISONS) == 0, GAIN, 0)
        half = known.half_widths(count)
        chance = known.p_values(means - truth, count)
        found = holm(known.p_values(means + gained, count))
        rows[METHODS[1]].append(_facts(chance, holm(chance), found, half))
        error = np.sqrt(variances / seeds)
        half = stats.t.ppf(0.975, seeds - 1) * error
        chance, found = (
            2 * stats.t.sf(np.abs(some) / error, seeds - 1)
            for some in (means - truth, means + gained)
        )
        rows[METHODS[0]].append(_facts(chance, COMPARISONS * chance, COMPARISONS * found, half))
    names = ("coverage", "half width", "false claims", "power")
    return [
        {"spread": kind, "seeds": seeds, "method": method}
        | {name: round(float(value), 4) for name, value in zip(names, np.mean(own, 0), strict=True)}
        for method, own in rows.items()
    ]


def _facts(
    chance: np.ndarray, corrected: np.ndarray, found: np.ndarray, half: np.ndarray
) -> tuple[float, ...]:
    """Return the facts of one repetition; the first eight comparisons never collapse."""
    usual = slice(0, COMPARISONS - COMPARISONS // 3)
    covered = (chance > 0.05).mean()
    return covered, half[usual].mean(), (corrected < 0.05).any(), found[0] < 0.05


def draw(table: pd.DataFrame) -> None:
    """Draw one panel per fact: seeds across, a line per method and kind of spread."""
    aims = {"coverage": 0.95, "half width": None, "false claims": 0.05, "power": None}
    titles = ("95 % intervals that cover", "Half-width, points", "Runs with a false claim")
    titles = (*titles, f"A gain of {GAIN:g} point found")
    colours = {METHODS[0]: GREY, METHODS[1]: COLOURS[0]}
    lines = dict(zip(KINDS, ("-", "--", ":", "-."), strict=True))
    with styled():
        figure = Figure(figsize=(11, 3.6), layout="constrained")
        panels = figure.subplots(1, 4)
        for axes, (name, aim), title in zip(panels, aims.items(), titles, strict=True):
            for (method, kind), own in table.groupby(["method", "spread"], sort=False):
                axes.plot(
                    own["seeds"].astype(str), own[name], lines[kind], color=colours[method],
                    marker="o", ms=4, label=f"{method}, {KINDS[kind]}",
                )  # fmt: skip
            if aim is not None:
                axes.axhline(aim, color=DARK, lw=0.8)
            axes.set(title=title, xlabel="seeds")
        panels[0].set_ylim(0.9, 1)
        panels[2].set_ylim(0, 0.2)
        panels[3].set_ylim(0, 1.03)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
        figure.savefig(measuring.IMAGES / "intervals.png", dpi=150)


def main() -> None:
    """Simulate every setting, write the facts and draw them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=300)
    repeats = parser.parse_args().repeats
    rows = [row for kind in KINDS for seeds in SEEDS for row in measured(kind, seeds, repeats)]
    measuring.write(__file__, {"repeats": repeats, "comparisons": COMPARISONS, "rows": rows})
    draw(pd.DataFrame(rows))


if __name__ == "__main__":
    main()
