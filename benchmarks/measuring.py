"""What the benchmarks share: the machine's name, medians of interleaved rounds, bars."""

import json
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from influence.steps.step import versions

IMAGES = Path(__file__).parent.parent / "docs/images"


def machine(**more: Any) -> dict[str, Any]:
    """Return what a measured time depends on besides the code."""
    named = {"processor": processor(), "system": platform.system()}
    return named | {"threads": torch.get_num_threads(), **more}


def processor() -> str:
    """Return the name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def medians(works: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median seconds of each work; each round does all of them, in turn.

    What disturbs a round disturbs all works alike. Two rounds more, the first ones, warm up.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for number in range(rounds + 2):
        for name, work in works.items():
            start = time.perf_counter()
            work()
            if number >= 2:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(some) for name, some in times.items()}


def write(benchmark: str, result: Mapping[str, Any]) -> None:
    """Write `<benchmark>.json` beside the benchmark, versions included, and show it."""
    text = json.dumps({"versions": versions(), **result}, indent=1)
    Path(benchmark).with_suffix(".json").write_text(text + "\n")
    print(text)


def bars(
    name: str, panels: Mapping[str, Mapping[str, float]], ours: Sequence[str], label: str
) -> None:
    """Draw horizontal bars on a logarithmic scale, one panel each, into docs/images/<name>.png.

    `ours` are the names of the bars in colour; the others are grey.
    """
    from matplotlib.figure import Figure

    from influence.figure_style import COLOURS, DARK, LIGHT, styled

    with styled():
        tallest = max(len(values) for values in panels.values())
        figure = Figure(figsize=(9, 0.8 + 0.26 * tallest), layout="constrained")
        for axes, (title, values) in zip(
            figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True
        ):
            colours = [COLOURS[0] if key in ours else LIGHT for key in values]
            places = range(len(values))
            axes.barh(places, list(values.values()), color=colours)
            for place, value in zip(places, values.values(), strict=True):
                text = f" {value:,.0f}" if value >= 100 else f" {value:.3g}"
                axes.text(value, place, text, va="center", color=DARK)
            axes.set_yticks(places, list(values))
            axes.invert_yaxis()
            low, high = min(values.values()), max(values.values())
            axes.set(xscale="log", title=title, xlabel=label, xlim=(low / 1.5, high * 2.5))
            axes.tick_params(axis="y", length=0)
        IMAGES.mkdir(parents=True, exist_ok=True)
        figure.savefig(IMAGES / f"{name}.png", dpi=150)
