"""Packages of others that cannot be used, told from bugs: one sentence and the command that helps.

What was built for another version of its neighbour fails while it is imported, with any exception,
and often where nobody asked for it: transformers imports torchvision, torchaudio or accelerate as
soon as they are there.
"""

import re
import shlex
import sys
import tomllib
import traceback
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path
from types import FrameType

from influence.errors import InputError, first_line

ROOT = Path(__file__).resolve().parent.parent
OURS, DISTRIBUTION = {"influence", "entrypoints", "__main__"}, "influence-sampling"


def unusable(error: BaseException) -> str:
    """Return a sentence if a package of others is broken, missing or does not fit; "" for a bug.

    Of an InputError it says something only where a package broke while it was imported: then the
    input is not to blame. Otherwise the error's own sentence stands.
    """
    found, asked = "", isinstance(error, InputError)
    for one, is_cause in _chain(error):
        sentence = _broken(one) or ("" if asked else _lacking(one))
        if sentence and (is_cause or not found):
            found = sentence
    return found


def _chain(error: BaseException) -> Iterator[tuple[BaseException, bool]]:
    """Yield an exception and what led to it, and whether that is named as the cause.

    What happened before a bug of ours, in whose handling it was, does not excuse it.
    """
    here: BaseException | None = error
    is_cause, seen = True, set()
    while here is not None and id(here) not in seen:
        seen.add(id(here))
        yield here, is_cause
        is_bug = not isinstance(here, InputError) and not _beyond(here)
        is_cause = here.__cause__ is not None
        here = here.__cause__ or (None if is_bug else here.__context__)


def _broken(error: BaseException) -> str:
    """Return a sentence if the exception came out of a package while that was imported."""
    frames = _beyond(error)
    ends = [at for at, frame in enumerate(frames, 1) if frame.f_code.co_name == "<module>"]
    modules = [_module(frame) for frame in frames[: max(ends, default=0)]]
    if isinstance(error, SyntaxError):  # of a file that has no frame
        if not (module := _module_at(error.filename or "")):
            return ""
        modules.append(module)
    if not modules:
        return ""
    if isinstance(error, ModuleNotFoundError) and _is_standard(error.name or ""):
        return (
            f"the Python of {sys.executable} has no module {error.name!r}, which "
            f"{_named(modules[-1])} needs; take a Python that was built with it"
        )
    return _advice(modules, f"{_named(modules[-1])} cannot be imported ({_reason(error)})")


def _lacking(error: BaseException) -> str:
    """Return a sentence if what we, or a package for us, wanted to import is not there."""
    if not isinstance(error, ImportError):
        return ""
    if frames := _beyond(error):  # of a model that needs more than transformers
        package = _named(_module(frames[-1]))
        return f"{package} lacks what it needs here ({_reason(error)}); install that"
    module = error.name or ""
    if not module or module.split(".")[0] in OURS:
        return ""
    if isinstance(error, ModuleNotFoundError) and not _distribution(module):
        return (
            f"the module {module!r} is not installed for {sys.executable}; install what this "
            f"project needs: {_pip('install', '-e', str(ROOT))}"
        )
    return _advice([module], f"{_named(module)} does not fit ({_reason(error)})")


def _advice(modules: Sequence[str], what: str) -> str:
    """Return `what` with the way out, for the last of these modules, which led to one another."""
    packages = list(dict.fromkeys(module.split(".")[0] for module in modules))
    last = _distribution(modules[-1])
    if last is None:
        return f"{what}, and no installed package has it: take it off the path, or rename it"
    needed = _closure([*_requirements(), _name_of(packages[0])])
    for importer, package in zip(packages, packages[1:], strict=False):
        if not _plain([name := _name_of(package)]) <= needed:
            it = "it" if name == last.name else f"this is for {name}, which"
            return (
                f"{what}; {it} is not needed here, {_name_of(importer)} imports it because it is "
                f"installed: {_pip('uninstall', name)}, or install a version of it that fits"
            )
    return f"{what}; install it again: {_pip('install', '--force-reinstall', last.name)}"


# What an exception went through.


def _beyond(error: BaseException) -> list[FrameType]:
    """Return the frames after the last one of ours, without those of the standard library."""
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [at for at, frame in enumerate(frames) if _module(frame).split(".")[0] in OURS]
    later = frames[max(ours, default=-1) + 1 :]
    return [
        frame
        for frame in later
        if not _is_standard(_module(frame)) and not frame.f_code.co_filename.startswith("<")
    ]


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _module_at(file: str) -> str:
    """Return the package of a file, "" of one of ours or of none."""
    path = Path(file).resolve()
    roots = [root for entry in sys.path if path.is_relative_to(root := Path(entry).resolve())]
    if not path.is_file() or not roots:
        return ""
    nearest = max(roots, key=lambda root: len(root.parts))
    name = path.relative_to(nearest).parts[0].removesuffix(".py")
    return "" if name in OURS or _is_standard(name) else name


def _is_standard(module: str) -> bool:
    return module.split(".")[0] in sys.stdlib_module_names


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)[:200].rstrip('.')}"


# What is installed.


def _named(module: str) -> str:
    """Return package and version of a module, or where it lies."""
    if found := _distribution(module):
        return f"{found.name} {found.version}"
    top = module.split(".")[0]
    spec = PathFinder.find_spec(top)
    return f"{top} ({spec.origin if spec else 'not on the path'})"


def _name_of(module: str) -> str:
    found = _distribution(module)
    return found.name if found else module.split(".")[0]


def _distribution(module: str) -> metadata.Distribution | None:
    """Return the distribution that a module came with; of several, the one that it is named for."""
    parts = module.split(".")
    try:
        return metadata.distribution(parts[0])
    except metadata.PackageNotFoundError:  # pillow has PIL, and several have parts of google
        known = metadata.packages_distributions().get(parts[0], [])
    names = sorted(known, key=lambda name: name not in parts)
    return metadata.distribution(names[0]) if names else None


def _requirements() -> list[str]:
    """Return what the project needs, also where it runs without being installed."""
    try:
        return metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        path = ROOT / "pyproject.toml"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        return tomllib.loads(text).get("project", {}).get("dependencies", [])


def _closure(requirements: Iterable[str]) -> set[str]:
    """Return the names of all distributions that these need, one through another."""
    found, new = set(), _plain(requirements)
    while new:
        found |= new
        new = set().union(*(_plain(_requires(name)) for name in new)) - found
    return found


def _plain(requirements: Iterable[str]) -> set[str]:
    """Return the names of requirements, without those of extras."""
    names = [re.split(r"[^\w.-]", text)[0] for text in requirements if "extra ==" not in text]
    return {re.sub(r"[-_.]+", "-", name).lower() for name in names}


def _requires(name: str) -> list[str]:
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def _pip(action: str, *options: str) -> str:
    """Return a command of pip, or of uv where there is no pip, for the Python that runs."""
    python = shlex.quote(sys.executable)
    versions = ROOT / "constraints.txt"
    pinned = ["-c", str(versions)] if action == "install" and versions.is_file() else []
    words = shlex.join([action, *pinned, *options])
    if PathFinder.find_spec("pip") is None:
        return f"uv pip {words} --python {python}"
    return f"{python} -m pip {words}"
