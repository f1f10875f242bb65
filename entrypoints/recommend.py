"""recommend: how much of a train set to prune, and by which arm, for the price of ten trainings.

Run: mlflow run . -e recommend -P dataset=path/to/folder
"""

from functools import partial

from influence.__main__ import call, run

main = partial(call, "recommend")

if __name__ == "__main__":
    run("recommend", main)
