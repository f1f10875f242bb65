"""Made-up accuracies with a known answer, and workers that search them in processes of their own.

Run as a program: python -m tests.helpers.landscapes DIRECTORY TRIALS SECONDS [STORAGE], one worker.
"""

import sys
import time
from concurrent.futures import Future
from pathlib import Path

from influence.config.parameters import SearchStep
from influence.runtime.locks import locked
from influence.searching import explore
from influence.searching import study as search_study
from influence.searching.space import Candidate, Space, build
from influence.searching.trials import pack

FULL = [0.9, 0.901, 0.899]
SCORES = ("vog", "el2n", "el2n@1", "forgetting")
LIMITS = {"vog:easy:class": 60, "random": 40}  # percent; all others 25
SLOPE = 0.001  # accuracy lost per percent beyond the limit


def accuracy(candidate: Candidate, number: int) -> float:
    """Lose nothing up to an arm's limit, then a tenth of a point per percent."""
    beyond = max(0, candidate.percent - LIMITS.get(str(candidate.arm), 25))
    return FULL[number] - SLOPE * beyond


def space(**changes) -> Space:
    usual = {"scores": SCORES, "named": (), "lowest": 5, "highest": 95, "smallest": (100, 100)}
    return build(*(usual | changes).values())


def config(**changes) -> SearchStep:
    return SearchStep(**({"tolerance": 0.0099, "trials": 40, "grace": 4} | changes))


def open_study(directory: Path, chosen: SearchStep, of: Space | None = None) -> search_study.Study:
    directory.mkdir(parents=True, exist_ok=True)
    storage = chosen.storage or f"sqlite:///{directory / 'studies.db'}"
    return search_study.open_study(chosen, storage, "study", of or space(), directory / "locks")


def done(value: float) -> Future:
    future: Future = Future()
    future.set_result(value)
    return future


def main(directory: Path, trials: int, seconds: float, storage: str = "") -> None:
    """Search; leave one file per retraining, made at its end, and one line per repetition."""
    chosen = config(trials=trials, storage=storage)

    def submit(candidate: Candidate, number: int) -> Future:
        path = directory / "points" / f"{pack(candidate)} {number}".replace("/", "-") / "point"
        with locked(path.parent):
            if not path.exists():
                time.sleep(seconds)
                path.touch()
                with open(directory / "made", "a", encoding="utf-8") as file:
                    file.write(f"{path.parent.name}\n")
        return done(accuracy(candidate, number))

    study = open_study(directory, chosen)
    for trial in explore.explore(study, space(), chosen, FULL, submit):
        print(trial.number, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:])
