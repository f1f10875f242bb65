"""Every arm has a look of its own, and the same one in every figure."""

from influence.plots.style import COLOURS, LINES, shade_of, style
from influence.scores import REGISTRY


def test_the_paper_s_scores_and_the_default_s_have_colours_of_their_own():
    scores = ("vog", "el2n", "forgetting", "pvi", "tracin", "aum", "aum@all")
    assert len({style(f"{score}:easy")["color"] for score in scores}) == 6


def test_every_arm_of_the_registry_looks_different():
    scores = [name for name in REGISTRY if name != "random"]
    suffixes = [*(f":{rule}" for rule in LINES), ":easy:class", ":easy:dataset"]
    arms = [score + suffix for score in scores for suffix in suffixes]
    arms += [f"{score}@2:easy" for score in scores] + [
        "random",
        "stratified",
        "clean",
        "drop",
        "dedup",
    ]
    arms += ["vog+trail_entropy:linear", "vog+el2n:linear", "vog+el2n:linear:dataset"]
    keys = ("color", "ls", "marker", "mfc", "lw", "fillstyle")
    looks = {tuple(str(style(arm).get(key)) for key in keys) for arm in arms}
    assert len(looks) == len(arms)


def test_colour_alone_tells_the_arms_of_a_comparison():
    arms = ["random", "random at equal steps", "stratified", "drop", "vog+trail_entropy:linear"]
    arms += ["dedup", "clean"]
    arms += [f"{score}:{rule}" for score in REGISTRY if score != "random" for rule in LINES][:40]
    arms += ["vog:easy:class", "vog:linear:dataset", "vog+trail_entropy:linear:dataset"]
    shades = {arm: shade_of(arm) for arm in arms}
    assert len(set(shades.values())) == len(arms)
    assert shades["random"] == style("random")["color"]  # as in the figures, always


def test_the_rule_is_told_by_the_line():
    rules = {rule: style(f"el2n:{rule}")["ls"] for rule in ("easy", "hard", "softmax")}
    assert rules == {"easy": "-", "hard": "--", "softmax": ":"}


def test_an_unknown_score_has_a_fixed_look():
    assert style("brand_new:easy") == style("brand_new:easy")
    assert style("brand_new:brand_new")["color"] in COLOURS
