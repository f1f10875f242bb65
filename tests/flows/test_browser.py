"""What a person sees: the MLflow UI on a real store and the report, in a real headless browser.

Skipped where Chromium or the library that drives it is absent.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest

from influence.tracking import run as tracking
from tests.report.test_page import study  # noqa: F401  a fixture, used by name

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:mlflow"),
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium"),
]
PATIENCE = 60_000  # milliseconds, for a page of a busy machine


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as running:
        opened = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def server(tracking_store):
    """The address of an MLflow UI on the store of the tests."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--backend-store-uri", mlflow.get_tracking_uri(), "--port", str(port)]
    environment = os.environ | {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    command = [sys.executable, "-m", "mlflow", "ui", "--workers", "1", *options]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=environment, **quiet)
    address = f"http://127.0.0.1:{port}"
    try:
        _wait_for(f"{address}/health", process)
        yield address
    finally:
        process.terminate()
        process.wait()


def _wait_for(address: str, process: subprocess.Popen) -> None:
    for _ in range(600):
        assert process.poll() is None, "the server has ended"
        try:
            with urllib.request.urlopen(address, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(address)


def open_page(browser, address: str, width: int = 1280) -> SimpleNamespace:
    """A page and what it complained of."""
    page = browser.new_page(viewport={"width": width, "height": 900})
    page.set_default_timeout(PATIENCE)
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text) if message.type == "error" else 0)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    return SimpleNamespace(page=page, said=said)


@pytest.mark.parametrize("width", [1280, 400])
def test_the_report_fits_and_complains_of_nothing(browser, study, width):  # noqa: F811
    opened = open_page(browser, Path(study.path).as_uri(), width)
    opened.page.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg').length")
    assert opened.said == []
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width
    # Every chart lies inside its place.
    wide = "e => e.querySelector('.main-svg').getBoundingClientRect().right"
    for chart in opened.page.query_selector_all(".js-plotly-plot"):
        assert chart.evaluate(wide) <= width
    assert not opened.page.evaluate("window.attacked")


def test_the_table_of_examples_can_be_sorted_and_filtered(browser, study):  # noqa: F811
    page = open_page(browser, Path(study.path).as_uri()).page
    heads = page.locator("#examples-table thead th").all_inner_texts()
    place = next(i for i, head in enumerate(heads) if head.startswith("doubt"))

    def doubts() -> list[float]:
        texts = page.locator(
            f"#examples-table tbody tr td:nth-child({place + 1})"
        ).all_inner_texts()
        return [float(text) for text in texts if text.strip() != "–"]

    assert doubts() == sorted(doubts(), reverse=True)
    button = page.locator("#examples-table thead th button").nth(place)
    button.click()
    assert doubts() == sorted(doubts())
    button.click()
    assert doubts() == sorted(doubts(), reverse=True)
    rows = page.locator("#examples-table tbody tr")
    everyone = rows.count()
    page.locator("[data-filters=examples-table]").fill("forecast")
    left = page.locator("#examples-table tbody tr:visible")
    assert 0 < left.count() < everyone
    assert all("forecast" in text for text in left.all_inner_texts())


# A line for each arm, with a point for each of three percents pruned, all in one chart.
DOTS = """arms => [...document.querySelectorAll('.js-plotly-plot')].some(plot =>
  [...plot.querySelectorAll('.scatterlayer .trace')].filter(line =>
    line.querySelectorAll('.points path').length === 3).length === arms)"""
LINES = """arms => [...document.querySelectorAll('.js-plotly-plot')].some(plot =>
  plot.querySelectorAll('.scatterlayer .trace').length >= arms)"""


@pytest.mark.slow
def test_the_ui_lays_the_curves_of_all_arms_over_one_another(browser, server, study):  # noqa: F811
    address = f"{server}/#/experiments/{study.top.info.experiment_id}/runs"
    address += "?workflowType=machine_learning&compareRunsMode=CHART"
    page = open_page(browser, address, width=1600).page
    run = page.locator(".ag-row", has_text=study.top.info.run_name)
    run.locator("button").first.click()  # + beside the run: its arms
    arms = len(study.config.arms.split(",")) + 1
    # Charts are drawn when they are in view: leave this one.
    page.get_by_placeholder("Search metric charts").fill("curve/accuracy")
    page.wait_for_function(DOTS, arg=arms)
    assert page.get_by_text("curve/accuracy").count()


@pytest.mark.slow
def test_the_page_that_is_printed_shows_all_curves_at_once(browser, server, study):  # noqa: F811
    run = study.top.info
    curves = tracking.Run(run.run_id, run.experiment_id).curves()
    page = open_page(browser, f"{server}/{curves}", width=1600).page
    for arm in ("random", *study.config.arms.split(",")):
        page.get_by_text(f"{arm} (curve/accuracy)").first.wait_for()  # in the legend
    arms = len(study.config.arms.split(",")) + 1
    page.wait_for_function(LINES, arg=arms)


@pytest.mark.slow
def test_the_run_of_a_comparison_leads_to_its_curves_and_has_charts(browser, server, study):  # noqa: F811
    run = study.top.info
    address = f"{server}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    classic = "?workflowType=machine_learning"
    page = open_page(browser, address + classic, width=1600).page
    link = page.get_by_role("link", name="All curves in one chart")
    with page.context.expect_page() as opened:
        link.click()
    assert "#/metric?" in opened.value.url
    page.goto(f"{address}/model-metrics{classic}")
    charts = DOTS.replace("some(", "filter(")
    page.wait_for_function(f"({charts})(1).length >= 3")  # of those in view, each of one arm


@pytest.mark.slow
def test_the_ui_shows_the_report_and_its_texts_do_nothing(browser, server, study):  # noqa: F811
    run = study.top.info
    address = f"{server}/#/experiments/{run.experiment_id}/runs/{run.run_id}/artifacts/report.html"
    page = open_page(browser, address).page
    frame = page.frame_locator("iframe")
    frame.locator("#verdict").wait_for()
    frame.locator("#examples-table thead th button").first.click()
    assert "<script>" in frame.locator("#examples-table").inner_text()
    inner = next(f for f in page.frames if f != page.main_frame)
    assert not inner.evaluate("window.attacked") and not page.evaluate("window.attacked")
