"""main: from a dataset to the pruned-accuracy curve of every arm, or a study of such.

Run: mlflow run .
"""

from functools import partial

from influence.__main__ import call, run

main = partial(call, "main")

if __name__ == "__main__":
    run("main", main)
