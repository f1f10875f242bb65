"""The page: what it tells, that it needs no network, and that texts of a dataset stay texts."""

import re
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pytest

from influence.plots import style
from tests.helpers import notes
from tests.helpers.mains import ARMS, ATTACK, LABEL
from tests.helpers.runs import logged

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow")


@pytest.fixture(scope="module")
def study(compared) -> SimpleNamespace:
    """A main whose texts and labels try to get into the page, with its page."""
    path = logged(compared.top, "") / "report.html"
    return SimpleNamespace(
        config=compared.config, top=compared.top, path=path, page=path.read_text()
    )


class Outline(HTMLParser):
    """Sections, tables, tags and addresses of a page, without what scripts and styles hold."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.sections: list[str] = []
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.texts: list[str] = []
        self.inside = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        values = dict(attrs)
        if tag == "section":
            self.sections.append(values["id"])
        self.addresses += [values[name] for name in ("src", "href") if name in values]
        self.inside = tag if tag in ("script", "style") else ""

    def handle_endtag(self, tag):
        self.inside = ""

    def handle_data(self, data):
        if not self.inside:
            self.texts.append(data)


def test_the_page_tells_the_whole_story(study):
    outline = Outline(study.page)
    assert outline.sections == [
        *("curves", "by-class", "examples", "map", "scores", "label_errors", "cost", "again"),
    ]
    text = " ".join(outline.texts)
    assert notes.verdict(study.top).replace(" %", "\u00a0%") in text
    for arm in ARMS:
        assert arm in text
    assert f"-P dataset={study.config.dataset}" in text and "torch" in text


def test_the_axes_of_the_charts_are_named_as_those_of_the_pictures(study):
    for name in (style.PRUNED, style.TO_RANDOM, style.EXAMPLES, style.metric_label("accuracy")):
        assert f'"text":"{name}"' in study.page
    assert not re.search(r'"text":"[^"]*\((%|points)\)"', study.page)


def test_the_page_needs_no_network(study):
    outline = Outline(study.page)
    assert all(address.startswith("#") for address in outline.addresses)
    assert "link" not in outline.tags and "iframe" not in outline.tags
    assert "@import" not in study.page.split("</style>")[0]


def test_texts_and_labels_of_a_dataset_are_shown_as_they_are_and_do_nothing(study):
    outline = Outline(study.page)
    assert "img" not in outline.tags and "b" not in outline.tags
    text = " ".join(outline.texts)
    assert ATTACK in text and LABEL in text
    # In the data of the charts a tag must not end the script, nor become one inside a label.
    assert study.page.count("<script") == study.page.count("</script>")
    assert not re.search(r"<img src=x", study.page)


def test_the_command_on_the_page_is_the_one_that_was_given(study):
    from shlex import split

    from influence.config.parser import again, parse

    words = split(again("main", study.config))
    given = [word.partition("=") for word in words if "=" in word]
    flags = [part for name, _, value in given for part in (f"--{name}", value)]
    assert parse("main", flags) == study.config


def test_stability_and_the_map_lie_beside_the_scores(study):
    work = Path(study.config.workdir)
    (scored,) = work.glob("score-*")
    stable = pd.read_csv(scored / "stability.csv")
    assert "seeds 0 and 1" in set(stable["across"]) and stable["overlap"].between(0, 1).all()
    places = pd.read_parquet(scored / "map.parquet")
    assert len(places) == 121 and places.filter(like="component_").notna().all(axis=None)
