"""How a command runs: its config, its work, and the exit status that says how it ended."""

import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

from influence.config.parser import parse
from influence.errors import InputError, Terminated, environmental
from influence.runtime import memory, packages, signals


def run(step: str, main: Callable[[Any], None]) -> NoReturn:
    """Parse the command line of `step`, call `main(config)` and exit.

    Exit status: 0 done, 2 bad input, a full disk or a broken package (one sentence on stderr),
    130 / 143 interrupted. A bug leaves through its traceback.
    """
    # Idle threads that spin take the core from whoever shares it: two jobs of two threads on two
    # cores become ten times slower. Has to be set before torch is imported.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    # Arrow's own allocator keeps what a table has taken beside what the rest of a process needs.
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")
    memory.give_large_memory_back()
    workdir = ""
    try:
        workdir = (given := parse(step, sys.argv[1:])).workdir
        with signals.stoppable(last=True):
            main(given)
    except InputError as error:
        sys.exit(_say(packages.unusable(error) or str(error)))
    except KeyboardInterrupt:
        sys.exit(130)
    except Terminated:
        sys.exit(143)
    except Exception as error:
        if not (sentence := environmental(error, workdir) or packages.unusable(error)):
            raise
        sys.exit(_say(sentence))
    sys.exit(0)


def _say(sentence: str) -> int:
    print(f"influence: {sentence}", file=sys.stderr)
    return 2
