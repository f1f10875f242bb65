"""search: how much of a train set can go, by which score and rule, before accuracy suffers.

Run: mlflow run . -e search -P scores=runs:/<id>/scores
"""

from influence.__main__ import run
from influence.config.parameters import SearchStep
from influence.config.parser import expand


def main(config: SearchStep) -> None:
    """Search every dataset, each in a run with its trials below it; then compare the datasets."""
    from influence import flow, steps
    from influence.config.parameters import DataConfig
    from influence.data import load
    from influence.report import search_artifacts
    from influence.runtime import engine as cluster
    from influence.searching.result import Recommendation
    from influence.tracking import run as tracking

    searches, found = expand(config), {}
    name = f"search {config.datasets or config.scores or config.dataset}"
    note = "Which score, rule and fraction?"
    with tracking.run(config, name, note, "search") as opened, cluster.engine(config) as engine:
        for one in searches.values():
            dataset = None if one.scores else load.load(**one.parameters(DataConfig))
            steps.check_search(one, dataset)
        for title, one in searches.items():
            if len(searches) == 1:
                found[title] = flow.search(one, engine, opened)
                continue
            with tracking.run(one, f"search {title}", note, "search") as child:
                found[title] = flow.search(one, engine, child)
        results = {title: Recommendation(path) for title, path in found.items()}
        search_artifacts.searches(opened, results)


if __name__ == "__main__":
    run("search", main)
