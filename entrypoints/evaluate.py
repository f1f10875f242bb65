"""evaluate: the pruned-accuracy curve.

Run: python -m entrypoints.evaluate --sample runs:/<id>/sample
"""

from functools import partial

from influence.__main__ import call, run

main = partial(call, "evaluate")

if __name__ == "__main__":
    run("evaluate", main)
