"""score: one number per example and score.

Run: python -m entrypoints.score --training runs:/<id>/training
"""

from functools import partial

from influence.__main__ import call, run

main = partial(call, "score")

if __name__ == "__main__":
    run("score", main)
