"""Kill every command at random moments, run it again, and count what differs at its end.

Run: python -m benchmarks.faults [--moments 20] [--steps train,score,...] [--seed 0]
Writes benchmarks/faults.json: of each step the seconds that it takes undisturbed (from when it
first writes), how many of the kills came before its end, and the number of files that differ from
the undisturbed result, which has to be 0. What is not compared is in tests/helpers/faults.py:
seconds of work, and the hours at which trials began and ended. A small dataset and model; one
worker.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

from benchmarks.measuring import machine, write
from tests.helpers.faults import CASES, Bench

RESULT = Path(__file__).with_suffix(".json")


def main() -> None:
    """Run the steps that are asked for and write the result, kept of the steps that are not."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=20)
    parser.add_argument("--steps", default=",".join(CASES))
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    kept = json.loads(RESULT.read_text())["steps"] if RESULT.exists() else {}
    for name in arguments.steps.split(","):
        kept[name] = killed(name, arguments.moments, arguments.seed)
        print(f"{name}: {json.dumps(kept[name])}", flush=True)
        total = sum(len(one["differences"]) for one in kept.values())
        write(__file__, {"machine": machine(workers=1), "differences": total, "steps": kept})


def killed(name: str, moments: int, seed: int) -> dict[str, object]:
    """Kill one case at so many moments, each in a workdir of its own, and tell what came of it."""
    began, hit, different = time.monotonic(), 0, []
    with tempfile.TemporaryDirectory(prefix="faults-") as root:
        bench = Bench(Path(root), name)
        for moment in bench.moments(moments, seed):
            was = bench.kill(moment)
            found = bench.finish()
            hit += was
            different += [f"{moment:.2f} s: {file}" for file in found]
            print(f"{name}: killed at {moment:.2f} s, {len(found)} differences", flush=True)
            bench.clear()
    return {
        "moments": moments,
        "seed": seed,
        "seconds_undisturbed": round(bench.seconds, 1),
        "killed_before_the_end": hit,
        "differences": different,
        "seconds_of_all": round(time.monotonic() - began),
    }


if __name__ == "__main__":
    main()
