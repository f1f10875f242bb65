"""An entry point whose trainings write their state at every stop, so that a kill finds one.

Run: python -m tests.helpers.often <entry point> [its parameters]
"""

import runpy
import sys

from influence.training import resume


def write_every_state() -> None:
    """Write the state of a training at every stop from now on."""
    resume.EVERY = 0.0


if __name__ == "__main__":
    write_every_state()
    entry_point = sys.argv[1]
    sys.argv = sys.argv[1:]
    runpy.run_module(entry_point, run_name="__main__")
