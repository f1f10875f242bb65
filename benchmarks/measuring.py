"""What the benchmarks share: the machine's name, medians of interleaved rounds, bars."""

import json
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from influence.runtime.step import versions

WIDE = 100  # the largest value over the smallest, from which on a scale is logarithmic
DOCS = Path(__file__).parent.parent / "docs"
IMAGES = DOCS / "images"


def machine(**more: Any) -> dict[str, Any]:
    """Return what a measured time depends on besides the code."""
    named = {"processor": processor(), "system": platform.system()}
    return named | {"threads": torch.get_num_threads(), **more}


def hardware(device: str) -> str:
    """Return the name of a GPU, "cpu" for what is none."""
    return "cpu" if device == "cpu" else torch.cuda.get_device_name(device)


def processor() -> str:
    """Return the name of the processor."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def settings_named(text: str, settings: Collection[str]) -> list[str]:
    """Return the settings that a list names; end with a sentence if there is none of a name."""
    named = text.split(",")
    if unknown := set(named) - set(settings):
        sys.exit(f"unknown settings {', '.join(sorted(unknown))}; there are {', '.join(settings)}")
    return named


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
    text = as_json({"versions": versions(), **result})
    Path(benchmark).with_suffix(".json").write_text(text, encoding="utf-8")
    print(text)


def as_json(result: Mapping[str, Any]) -> str:
    """Return a result as JSON in which a list of plain values is one line."""
    text = json.dumps(result, indent=1)
    return re.sub(r"\[[^\[\]{}]*\]", lambda found: " ".join(found[0].split()), text) + "\n"


def put(page: str, after: str, table: str) -> None:
    """Put a table in the place of the first one after some text of a page of the docs."""
    at = DOCS / page
    at.write_text(with_table(at.read_text(encoding="utf-8"), after, table), encoding="utf-8")


def with_table(text: str, after: str, table: str) -> str:
    """Return a page whose first table after a text, which is there once, is this one."""
    before, found, rest = text.partition(after)
    start = rest.index("\n|") + 1
    assert found and after not in rest and "\n#" not in rest[:start], f"no table after {after!r}"
    return before + after + rest[:start] + table + rest[rest.index("\n\n", start) :]


def bars(
    name: str, panels: Mapping[str, Mapping[str, float]], ours: Sequence[str], label: str
) -> None:
    """Draw horizontal bars, one panel each, into docs/images/<name>.png.

    On a logarithmic scale where that is needed; a bar that a panel lacks leaves its place empty.
    `ours` are the names of the bars in colour; the others are grey.
    """
    from matplotlib.figure import Figure

    from influence.plots.style import COLOURS, DARK, LIGHT, styled

    names = list(dict.fromkeys(name for values in panels.values() for name in values))
    with styled():
        figure = Figure(figsize=(9, 0.8 + 0.26 * len(names)), layout="constrained")
        all_axes = figure.subplots(1, len(panels), squeeze=False, sharey=True)[0]
        for axes, (title, values) in zip(all_axes, panels.items(), strict=True):
            places = [names.index(key) for key in values]
            colours = [COLOURS[0] if key in ours else LIGHT for key in values]
            axes.barh(places, list(values.values()), color=colours)
            for place, value in zip(places, values.values(), strict=True):
                text = f" {value:,.0f}" if value >= 100 else f" {value:.3g}"
                axes.text(value, place, text, va="center", color=DARK)
            low, high = min(values.values()), max(values.values())
            if high > WIDE * low:
                axes.set(xscale="log", xlim=(low / 1.5, high * 2.5))
            else:
                axes.set(xlim=(0, high * 1.25))
            axes.set(title=title, xlabel=label, ylim=(len(names) - 0.4, -0.6))
            axes.set_yticks(range(len(names)), names)
            axes.tick_params(axis="y", length=0)
            axes.label_outer()
        IMAGES.mkdir(parents=True, exist_ok=True)
        figure.savefig(IMAGES / f"{name}.png", dpi=150)
