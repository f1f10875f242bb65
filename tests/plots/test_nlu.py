"""Pictures of a voice assistant show every arm, percent and domain, and what vanished."""

import numpy as np
import pandas as pd
import pytest

from influence.nlu.tables import RATES
from influence.plots import nlu, scores

ARMS = (
    "random",
    "stratified",
    "vog:linear:class",
    "vog:linear:dataset",
    "vog+trail_entropy:linear",
)


def changes(percents=(14.0, 46.0, 52.0), arms=ARMS):
    rows = []
    for place, arm in enumerate(arms):
        for percent in percents:
            row = {"arm": arm, "percent_pruned": percent, "seeds": 3}
            for rate in (*RATES, "tail_defect"):
                change = percent / 1000 * (1 + place)
                row |= {rate: change, f"{rate}_low": change - 0.04, f"{rate}_high": change + 0.05}
            rows.append(row)
    return pd.DataFrame(rows)


def shares(domains=18, percents=(14.0, 46.0, 52.0), arms=ARMS):
    rows = []
    before = np.arange(1, domains + 1) / np.arange(1, domains + 1).sum()
    for percent in percents:
        for place, arm in enumerate(arms):
            after = before ** (1 + percent * place / 300)
            after /= after.sum()
            for number in range(domains):
                named = {"arm": arm, "percent_pruned": percent, "domain": f"domain {number}"}
                pair = {"share_before": before[number], "share_after": after[number]}
                rows.append(named | pair)
    return pd.DataFrame(rows)


def test_error_rates_have_a_line_per_arm_and_rate():
    table = changes()
    figure = nlu.error_rates(table)
    titles = [axes.get_title(loc="left") for axes in figure.axes]
    assert titles == ["DCER", "F-SEMER", "ICER", "IRER"]
    for axes, rate in zip(figure.axes, nlu.RATES, strict=True):
        lines = {line.get_label(): line.get_ydata() for line in axes.get_lines()}
        for arm, own in table.groupby("arm"):
            np.testing.assert_allclose(lines[arm], own[rate])


def test_a_rate_that_rose_from_nothing_leaves_a_gap():
    table = changes()
    table.loc[0, ["dcer", "dcer_low", "dcer_high"]] = np.inf
    figure = nlu.error_rates(table)
    figure.draw_without_rendering()
    assert np.isfinite(figure.axes[0].get_ylim()).all()
    lines = {line.get_label(): line.get_ydata() for line in figure.axes[0].get_lines()}
    assert np.isnan(lines["random"][0]) and np.isfinite(lines["random"][1:]).all()


@pytest.mark.parametrize("domains", [2, 18, 60])
def test_shares_write_the_ratio_of_every_arm_and_domain(domains):
    table = shares(domains)
    figure = nlu.domain_shares(table)
    panels = figure.axes[:3]
    for axes, percent in zip(panels, (14, 46, 52), strict=True):
        assert axes.get_title(loc="left") == f"{percent} % pruned"
        assert len(axes.texts) == min(domains, nlu.DOMAINS) * len(ARMS)
        assert axes.texts[len(ARMS) - 1].get_text() == "1.00"  # random, drawn last, took no side
    assert panels[0].get_yticklabels()[0].get_text().startswith(f"domain {domains - 1}")


def test_a_domain_that_vanished_is_written_as_nothing():
    table = shares(3, (50.0,), ("random",))
    table.loc[table["domain"] == "domain 0", "share_after"] = 0.0
    figure = nlu.domain_shares(table)
    assert [text.get_text() for text in figure.axes[0].texts] == ["1.00", "1.00", "0"]


def test_densities_have_a_row_per_class_in_the_order_of_the_first_score():
    labels = np.repeat([0, 1, 2], 50)
    generator = np.random.default_rng(0)
    table = pd.DataFrame({"id": np.arange(150).astype(str), "label": labels})
    table["vog"] = generator.random(150) + np.array([0.0, 5.0, 2.0])[labels]
    table["forgetting"] = generator.integers(0, 3, 150).astype(float)
    figure = scores.densities(table, ["low", "high", "middle"])
    shown = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert shown == ["high", "middle", "low"]
    assert [len(axes.patches) for axes in figure.axes] == [3, 3]
