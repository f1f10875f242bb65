"""Made-up accuracies with a known answer, and workers that search them in processes of their own.

Run as a program: python -m tests.helpers.landscapes DIRECTORY TRIALS SECONDS [STORAGE], one worker.
It says "open" once it has joined the study, and begins when it is sent a line.
"""

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path

from influence.config.steps import SearchStep
from influence.runtime.locks import locked
from influence.searching import explore
from influence.searching import study as search_study
from influence.searching.space import Candidate, Space, build, recommended
from influence.searching.trials import pack

ROOT = Path(__file__).parent.parent.parent
FULL = [0.9, 0.901, 0.899]
SCORES = ("vog", "el2n", "el2n@1", "forgetting")
LIMITS = {"vog:linear:dataset": 60, "random": 40}  # percent; all others 25
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
    url = chosen.storage or f"sqlite:///{directory / 'studies.db'}"
    at = search_study.Meeting(url, chosen.grace, directory / "locks", bool(chosen.storage))
    queue = recommended(of or space())[: chosen.trials]
    return search_study.open_study(at, "study", search_study.AXES[chosen.goal], queue)


def done(value: float) -> Future:
    future: Future = Future()
    future.set_result(value)
    return future


@contextmanager
def workers(directory: Path, trials: int, seconds: float, storage: str = "") -> Iterator[list]:
    """Run four workers of one study, which begin together: on a busy machine the first of them
    may otherwise be done before the last has joined."""
    command = [sys.executable, "-m", "tests.helpers.landscapes", directory, trials, seconds]
    command = [str(word) for word in [*command, *([storage] if storage else [])]]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with ExitStack() as stack:
        started = [
            stack.enter_context(subprocess.Popen(command, cwd=ROOT, **pipes)) for _ in range(4)
        ]
        for worker in started:
            assert worker.stdout.readline() == "open\n"
        for worker in started:
            print(file=worker.stdin, flush=True)
        yield started


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
    print("open", flush=True)
    sys.stdin.readline()
    for trial in explore.explore(study, space(), chosen, FULL, submit):
        print(trial.number, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), *sys.argv[4:])
