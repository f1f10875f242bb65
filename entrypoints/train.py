"""train: fine-tune with checkpoints.

Run: python -m entrypoints.train --dataset assistant --model tiny
"""

from functools import partial

from influence.__main__ import call, run

main = partial(call, "train")

if __name__ == "__main__":
    run("train", main)
