"""The command `influence`: from its command line to the exit status that says how it ended."""

import difflib
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NoReturn

from influence import __version__
from influence.config.commands import COMMANDS
from influence.config.parser import parse, parse_command
from influence.errors import InputError, Terminated, environmental
from influence.runtime import environment, memory, packages, signals

HELP = """usage: influence COMMAND [INPUT] [--parameter VALUE ...]

Choose which training examples a text classifier really needs.

{commands}

`compare` runs the whole flow and needs no other command:

  influence compare path/to/folder --arms aum:ccs_clean,el2n:easy --epochs 5

Or run the steps one by one; each prints the directory that the next one reads:

  influence train path/to/folder --epochs 5     ->  a training
  influence score TRAINING --score aum,el2n     ->  scores
  influence sample SCORES --arm aum:ccs_clean   ->  a sample
  influence evaluate SAMPLE --seeds 5           ->  the pruned-accuracy curve

`influence COMMAND --help` lists the parameters of a command. Results are kept
in .influence/ and logged to MLflow; --track false leaves the directories only.
"""


def main() -> NoReturn:
    """Run the command that the command line names, and exit; see `run` for the status."""
    name, *arguments = sys.argv[1:] or ["--help"]
    if name == "help" and arguments:  # of a command
        name, arguments = arguments[0], ["--help"]
    if name in ("--help", "-h", "help"):
        lines = "\n".join(f"  {one:9} {command.summary}" for one, command in COMMANDS.items())
        print(HELP.format(commands=lines), end="")
        sys.exit(0)
    if name == "--version":
        print(f"influence {__version__}")
        sys.exit(0)
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there is {', '.join(COMMANDS)}"
        sys.exit(_say(f"there is no command {name!r}; {hint}"))
    _run(partial(parse_command, COMMANDS[name], arguments), partial(_command, name))


def run(step: str, work: Callable[[Any], Any]) -> NoReturn:
    """Parse the command line of an entry point of MLproject, call `work(config)` and exit.

    Exit status: 0 done, 2 bad input, a full disk or a broken package (one sentence on stderr),
    130 / 143 interrupted. A bug leaves through its traceback.
    """
    _run(partial(parse, step, sys.argv[1:]), work)


def call(name: str, config: Any) -> Any:
    """Do what a command does, given its config; return what it leaves."""
    from influence import pipeline

    return getattr(pipeline, name)(config)


def _command(name: str, config: Any) -> None:
    """Do what a command does and print the directory of a single step, for the next one."""
    left = call(name, config)
    if directory := getattr(left, "directory", None):
        print(directory)


def _run(read: Callable[[], Any], work: Callable[[Any], Any]) -> NoReturn:
    environment.prepare()
    memory.give_large_memory_back()
    workdir = ""
    try:
        workdir = (given := read()).workdir
        with signals.stoppable(last=True):
            work(given)
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


if __name__ == "__main__":
    main()
