"""sample: which examples stay.

Run: python -m entrypoints.sample --scores runs:/<id>/scores --arm el2n:easy
"""

from functools import partial

from influence.__main__ import call, run

main = partial(call, "sample")

if __name__ == "__main__":
    run("sample", main)
