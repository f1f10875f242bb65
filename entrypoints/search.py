"""search: how much of a train set can go, by which score and rule, before accuracy suffers.

Run: mlflow run . -e search -P scores=runs:/<id>/scores
"""

from functools import partial

from influence.__main__ import call, run

main = partial(call, "search")

if __name__ == "__main__":
    run("search", main)
