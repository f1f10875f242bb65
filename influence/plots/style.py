"""The style of every figure: how an arm, a score, a label and an axis look."""

import colorsys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from zlib import crc32

import matplotlib

from influence.sampling.arms import AT_EQUAL_STEPS
from influence.scores import REGISTRY

BASELINES = ("random", AT_EQUAL_STEPS)
# Okabe and Ito's colours without black (random's) and yellow (pale on white), two of Tol's instead.
COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"),
    *("#882255", "#999933"),
)
# By their places in the registry PVI and AUM, which are drawn together most, would share a colour:
# PVI has that of a score which is hardly drawn, and that one PVI's.
TRADED = {"pvi": "vog_std", "vog_std": "pvi"}
DARK, GREY, LIGHT = "#222222", "#777777", "#DDDDDD"
LINES = {"easy": "-", "hard": "--", "softmax": ":", "linear": (0, (1, 2.5)), "ccs": "-."}
LINES |= {"ccs_class": (0, (5, 1, 1, 1, 1, 1)), "adaptive": (0, (3, 3)), "d2": (0, (8, 2))}
LINES |= {"ccs_clean": (0, (6, 1.5, 1, 1.5))}
# How much lighter than its score an arm is where neither line nor marker distinguishes it.
RULE_LIGHT = {"hard": -0.14, "softmax": 0.14, "linear": 0.24, "ccs": -0.08}
RULE_LIGHT |= {"ccs_class": 0.05, "adaptive": -0.2, "d2": 0.1, "ccs_clean": -0.03}
RULE_LIGHT |= {
    "dedup": 0.3,
    "drop": 0.2,
    "clean": 0.1,
    AT_EQUAL_STEPS: 0.15,
}  # than stratified and random
NORMALIZE_LIGHT = {"class": -0.04, "dataset": 0.04}
BARE_LINES = {"stratified": "--", "drop": "-.", "dedup": ":", "clean": (0, (6, 1.5, 1, 1.5))}
NORMALIZED = ("none", "class", "dataset")
MARKERS = ("os^", "DvP", "X<*")  # one triple per round through the colours, one per normalisation
WIDTH = 9.0  # inches: text of 9 points is 12 pixels high where the picture is 900 wide
STYLE = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "lines.markersize": 4.5,
    "svg.hashsalt": "influence",
}
FEW_ARMS = 4  # beside random, in one panel
LONGEST = 32  # characters of a label
# The axes of the pictures and of the report's charts, which show the same.
PRUNED = "Share of the train set pruned, %"  # the x axis of every curve
TO_RANDOM = "Difference to random, points"
TO_FULL = "Difference to the full train set, points"
EXAMPLES = "Share of the examples, %"
FRACTIONS = ("accuracy", "macro_f1", "calibration_error")  # metrics in 0..1, drawn in percent


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save in the project's style, whatever the caller's settings are."""
    with matplotlib.rc_context(), warnings.catch_warnings():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(STYLE)
        warnings.filterwarnings("ignore", "Glyph")  # a label in a script that the font lacks
        yield


def style(arm: str) -> dict:
    """Return the line of an arm `score:rule[:normalize]`, the same in every figure.

    The colour stands for the score, the line for the rule, the marker for the normalisation; the
    markers of a blend are half filled, with the colour of its last score.
    """
    if arm == "random":
        return {"color": DARK, "ls": "-", "lw": 2.4, "marker": "o", "zorder": 5}
    if arm == AT_EQUAL_STEPS:
        return {"color": DARK, "ls": "--", "lw": 1.6, "marker": "s", "mfc": "white", "zorder": 4}
    look = {"lw": 1.6, "zorder": 3}
    if ":" not in arm:
        return look | {"color": GREY, "ls": BARE_LINES.get(arm, ":"), "marker": "o"}
    score, rule, *normalized = arm.split(":")
    markers = MARKERS[_place_of_look(score) // len(COLOURS) % len(MARKERS)]
    colour, line = colour_of(score), LINES.get(rule, "-.")
    marker = markers[NORMALIZED.index(normalized[0])] if normalized else markers[0]
    look |= {"color": colour, "ls": line, "marker": marker}
    if "+" in score:
        return look | {
            "fillstyle": "top",
            "mfc": colour_of(score.split("+")[-1]),
            "mfcalt": "white",
        }
    return look | {"mfc": "white" if "@" in score else colour}


def colour_of(score: str) -> str:
    """Return the colour of a score, the same in every figure."""
    return GREY if score == "random" else COLOURS[_place_of_look(score) % len(COLOURS)]


def shade_of(arm: str) -> str:
    """Return the colour of an arm where colour alone distinguishes it, as in the MLflow UI.

    It is the colour of its line (of a blend, the mean of the colours), made lighter or darker by
    the rule and the normalisation.
    """
    score, rule, normalize = (*arm.split(":"), "", "")[:3]
    colours = [colour_of(name) for name in score.split("+")] if rule else [style(arm)["color"]]
    mixed = [[int(colour[i : i + 2], 16) / 255 for colour in colours] for i in (1, 3, 5)]
    hue, light, depth = colorsys.rgb_to_hls(*(sum(part) / len(part) for part in mixed))
    light += RULE_LIGHT.get(rule or arm, 0.0) + NORMALIZE_LIGHT.get(normalize, 0.0)
    shade = colorsys.hls_to_rgb(hue, min(max(light, 0.1), 0.8), depth)
    return "#" + "".join(f"{round(255 * part):02X}" for part in shade)


def place_of(arm: str) -> tuple:
    """Return a sort key: score, rule, normalisation; random comes last and so is drawn on top."""
    score, _, rule = arm.partition(":")
    return arm == "random", arm == AT_EQUAL_STEPS, not rule, _rank(score), score, rule


def grouped(arms: Iterable[str]) -> dict[str, list[str]]:
    """Return the arms of each panel by its title: one panel, or one per score for many arms.

    Random, also at equal steps, comes last in every panel.
    """
    ordered = sorted(set(arms), key=place_of)
    others = [arm for arm in ordered if arm not in BASELINES]
    titles = {arm: arm.split(":")[0] if ":" in arm else "no score" for arm in others}
    if len(others) <= FEW_ARMS or len(set(titles.values())) == 1:
        return {"": ordered}
    random = [arm for arm in ordered if arm in BASELINES]
    return {
        title: [*(a for a in others if titles[a] == title), *random] for title in titles.values()
    }


def visible(label: str) -> str:
    """Return a label that a legend shows even if it starts with an underscore."""
    return f" {label}" if str(label).startswith("_") else str(label)


def short(label: str) -> str:
    """Return a label cut to 32 characters, in which a dollar sign starts no formula."""
    shown = label if len(label) <= LONGEST else label[: LONGEST - 1] + "…"
    return shown.replace("$", r"\$")


def metric_label(metric: str) -> str:
    """Return the axis label of a test metric: "Test accuracy, %", "Test macro F1, %"."""
    words = metric.replace("_", " ").replace("f1", "F1")
    return f"Test {words}, %" if metric in FRACTIONS else f"Test {words}"


def as_percent(value: float, _place: int) -> str:
    """Format a tick: a fraction of 1 in percent."""
    return f"{100 * value:.4g}"


def as_signed_percent(value: float, _place: int) -> str:
    """Format a tick: a difference of fractions in points, with its sign."""
    return f"{100 * value:+.3g}".replace("-", "−") if round(value, 9) else "0"


def _place_of_look(score: str) -> int:
    name = _first(score)
    return _rank(TRADED.get(name, name))


def _rank(score: str) -> int:
    """Return the place of a score (of a blend, its first) in the registry; fixed if unknown."""
    name = _first(score)
    return list(REGISTRY).index(name) if name in REGISTRY else crc32(name.encode())


def _first(score: str) -> str:
    """Return the name of a score, of a blend its first, without its window."""
    return score.split("+")[0].split("@")[0]
