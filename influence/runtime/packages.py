"""Tell unusable third-party packages from bugs, and say in one sentence how to repair them.

A package built for another version of one of its dependencies fails on import, with any exception,
and often where this project does not need it: transformers imports torchvision, torchaudio or
accelerate wherever they are installed.
"""

import dis
import os
import re
import shlex
import sys
import sysconfig
import tomllib
import traceback
from collections.abc import Iterable, Iterator, Sequence
from importlib import metadata
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import resolve_name
from pathlib import Path
from types import FrameType, ModuleType

from influence.errors import InputError, first_line

ROOT = Path(__file__).resolve().parent.parent.parent
OURS, DISTRIBUTION = {"influence", "entrypoints", "__main__"}, "influence-sampling"


def unusable(error: BaseException) -> str:
    """Return a sentence if a third-party package is broken, missing or incompatible; "" for a bug.

    For an InputError it returns one only if a package broke while it was being imported: then the
    input is not to blame. Otherwise the error's own sentence stands.
    """
    chosen, is_input = "", isinstance(error, InputError)
    for one, is_cause in _chain(error):
        sentence = _shadowed(one) or _broken(one) or ("" if is_input else _lacking(one))
        if sentence and (is_cause or not chosen):
            chosen = sentence
    return chosen


def installation(extra: str = "") -> str:
    """Return the command that installs this project with what it needs, and with an extra.

    It is that of a checkout where this is one, else that of the installed distribution by name.
    """
    suffix = f"[{extra}]" if extra else ""
    if (ROOT / "pyproject.toml").is_file():
        return _pip("install", "-e", f"{ROOT}{suffix}")
    return _pip("install", f"{DISTRIBUTION}{suffix}")


def _chain(error: BaseException) -> Iterator[tuple[BaseException, bool]]:
    """Yield an exception and those that led to it, each with whether it was named as the cause.

    A bug of ours raised while another exception was being handled is still a bug: there the chain
    ends.
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
    """Return a sentence if a package raised the exception while it was being imported."""
    modules = [_module(frame) for frame in _imported(_beyond(error))]
    unread = _unread(error)
    if unread and not _is_ours(unread) and not _is_standard(unread):
        modules.append(unread)
    if not modules or (isinstance(error, SyntaxError) and modules[-1] != unread):
        return ""
    if not _distribution(modules[-1]) and not PathFinder.find_spec(modules[-1].split(".")[0]):
        return ""  # a script that a package runs, such as a migration, is no import
    if isinstance(error, ModuleNotFoundError) and _is_standard(error.name or ""):
        return (
            f"the Python of {sys.executable} has no module {error.name!r}, which "
            f"{_named(modules[-1])} needs; use a Python that was built with it"
        )
    what = f"{_named(modules[-1])} cannot be imported ({_reason(error)})"
    if not isinstance(error, ImportError) and (names := _settings(modules[-1], str(error))):
        return f"{what}; correct or unset {' and '.join(names)} in the environment"
    return _advice(modules, what)


def _shadowed(error: BaseException) -> str:
    """Return a sentence if a file shadows a module that the exception is about.

    Such a file, often one of the user's scripts, has the name of an installed package or a standard
    module and comes before it on the path. Reinstalling the package would not help.
    """
    modules = [_module(frame) for frame in _imported(_after_ours(error))]
    modules.append(_unread(error))
    if isinstance(error, ImportError):
        modules.append(error.name or "")
    if isinstance(error, AttributeError) and isinstance(error.obj, ModuleType):
        modules.append(error.obj.__name__)
    for top in dict.fromkeys(module.split(".")[0] for module in modules if module):
        spec, proper = PathFinder.find_spec(top), _proper(top)
        if top in OURS or not spec or not proper or not spec.origin or not proper.origin:
            continue
        if os.path.realpath(spec.origin) != os.path.realpath(proper.origin):
            installed = None if _is_standard(top) else _distribution(top)
            version = f"the installed {installed.version}" if installed else "Python itself"
            return (
                f"{top} is imported from {spec.origin}, not from {version}: {_out_of(spec.origin)}"
            )
    return ""


def _proper(top: str) -> ModuleSpec | None:
    """Return where the installed or standard module lies, whatever shadows it on the path."""
    if _is_standard(top):
        places = [sysconfig.get_path(name) for name in ("stdlib", "platstdlib")]
        return PathFinder.find_spec(top, [*places, *(f"{at}/lib-dynload" for at in places)])
    installed = _distribution(top)
    return PathFinder.find_spec(top, [str(installed.locate_file(""))]) if installed else None


def _out_of(origin: str) -> str:
    """Return how to move a shadowing file out of the way."""
    places = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    given = {os.path.realpath(place) for place in places if place}
    if given & {os.path.realpath(parent) for parent in Path(origin).parents}:
        return "rename it or remove it from PYTHONPATH"
    return "rename it or start the command in another directory"


def _settings(module: str, message: str) -> list[str]:
    """Return the environment variables that a package says it could not read.

    Their values are not shown: one may be a password.
    """
    begin = f"{module.split('.')[0].upper()}_"
    given = {name: value for name, value in os.environ.items() if name.startswith(begin)}
    return [
        name
        for name, value in sorted(given.items())
        if any(
            re.search(rf"(?<!\w){re.escape(word)}(?!\w)", message, re.IGNORECASE)
            for word in filter(None, (name, value.strip()))
        )
    ]


def _lacking(error: BaseException) -> str:
    """Return a sentence if an import of ours, or one that a package made for us, is missing."""
    if not isinstance(error, ImportError):
        return ""
    if frames := _beyond(error):  # of a model that needs more than transformers
        package = _named(_module(frames[-1]))
        return f"{package} lacks a package that it needs here ({_reason(error)}); install it"
    module = error.name or ""
    if not module or module.split(".")[0] in OURS:
        return ""
    if isinstance(error, ModuleNotFoundError) and not _distribution(module):
        return (
            f"the module {module!r} is not installed for {sys.executable}; install what this "
            f"project needs: {installation()}"
        )
    return _advice([module], f"{_named(module)} is incompatible ({_reason(error)})")


def _advice(modules: Sequence[str], what: str) -> str:
    """Add the way out to `what` for the last of these modules, each imported by the one before."""
    packages = list(dict.fromkeys(module.split(".")[0] for module in modules))
    last = _distribution(modules[-1])
    if last is None:
        return f"{what}, and no installed package has it: remove it from the path, or rename it"
    needed = _closure([*_requirements(), _name_of(packages[0])])
    for importer, package in zip(packages, packages[1:], strict=False):
        if not _plain([name := _name_of(package)]) <= needed:
            it = "it" if name == last.name else f"this is for {name}, which"
            return (
                f"{what}; {it} is not needed here, but {_name_of(importer)} imports it because it "
                f"is installed: {_pip('uninstall', name)}, or install a compatible version"
            )
    return f"{what}; reinstall it: {_pip('install', '--force-reinstall', last.name)}"


# The traceback of an exception.


def _beyond(error: BaseException) -> list[FrameType]:
    """Return the frames after the last one of ours, leaving out the standard library."""
    return [
        frame
        for frame in _after_ours(error)
        if not _is_standard(_module(frame)) and not frame.f_code.co_filename.startswith("<")
    ]


def _after_ours(error: BaseException) -> list[FrameType]:
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    ours = [at for at, frame in enumerate(frames) if _is_ours(_module(frame))]
    return frames[max(ours, default=-1) + 1 :]


def _imported(frames: Sequence[FrameType]) -> Sequence[FrameType]:
    """Return the frames up to the last one of a module that was being imported."""
    ends = [at for at, frame in enumerate(frames, 1) if frame.f_code.co_name == "<module>"]
    return frames[: max(ends, default=0)]


def _is_ours(module: str) -> bool:
    return module.split(".")[0] in OURS


def _unread(error: BaseException) -> str:
    """Return the module whose file is damaged or not Python, and so has no frame; "" if none.

    For a file with NUL bytes, and for a compiled one, the exception does not name the file.
    """
    steps = list(traceback.walk_tb(error.__traceback__))
    if isinstance(error, SyntaxError) and error.filename:
        return _module_at(error.filename)
    for frame, _ in reversed(steps):
        if not frame.f_code.co_filename.startswith("<frozen importlib"):
            break
        if isinstance(spec := frame.f_locals.get("spec"), ModuleSpec):
            return spec.name
    if error.__traceback__ and "null bytes" in str(error):
        return next((name for name in _asked(error) if _holds_nul(name)), "")
    return ""


def _asked(error: BaseException) -> Iterator[str]:
    """Yield the names of the modules that the failed import asked for, parents first."""
    last = error.__traceback__
    while last and last.tb_next:
        last = last.tb_next
    if last is None:
        return
    every = dis.get_instructions(last.tb_frame.f_code)
    code = [one for one in every if one.opname != "EXTENDED_ARG"]
    at = next((n for n, one in enumerate(code) if one.offset == last.tb_lasti), 0)
    if code[at].opname != "IMPORT_NAME":
        return
    level, parts = (one.argval for one in code[at - 2 : at])
    package = last.tb_frame.f_globals.get("__package__") or ""
    name = resolve_name("." * level + code[at].argval, package)
    words = name.split(".")
    yield from (".".join(words[: count + 1]) for count in range(len(words)))
    yield from (f"{name}.{part}" for part in parts or ())


def _holds_nul(module: str) -> bool:
    """Tell whether the file of a module has NUL bytes, without importing anything."""
    spec, name = None, ""
    for word in module.split("."):
        name = f"{name}.{word}" if name else word
        spec = PathFinder.find_spec(
            name, list(spec.submodule_search_locations or ()) if spec else None
        )
        if spec is None:
            return False
    path = Path(spec.origin or "") if spec else Path()
    return path.suffix == ".py" and path.is_file() and b"\0" in path.read_bytes()


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _module_at(file: str) -> str:
    """Return the package or module that a file is part of, "" for none."""
    path = Path(file).resolve()
    roots = [root for entry in sys.path if path.is_relative_to(root := Path(entry).resolve())]
    if not path.is_file() or not roots:
        return ""
    nearest = max(roots, key=lambda root: len(root.parts))
    return path.relative_to(nearest).parts[0].removesuffix(".py")


def _is_standard(module: str) -> bool:
    return module.split(".")[0] in sys.stdlib_module_names


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {first_line(error)[:200].rstrip('.')}"


# Installed packages.


def _named(module: str) -> str:
    """Return the package and version that a module belongs to, or where it lies."""
    if installed := _distribution(module):
        return f"{installed.name} {installed.version}"
    top = module.split(".")[0]
    spec = PathFinder.find_spec(top)
    return f"{top} ({spec.origin if spec else 'not on the path'})"


def _name_of(module: str) -> str:
    installed = _distribution(module)
    return installed.name if installed else module.split(".")[0]


def _distribution(module: str) -> metadata.Distribution | None:
    """Return the distribution that holds a module; of several, the one with its name."""
    parts = module.split(".")
    try:
        return metadata.distribution(parts[0])
    except metadata.PackageNotFoundError:  # pillow has PIL, and several have parts of google
        known = metadata.packages_distributions().get(parts[0], [])
    names = sorted(known, key=lambda name: name not in parts)
    return metadata.distribution(names[0]) if names else None


def _requirements() -> list[str]:
    """Return the requirements of this project, whether or not it is installed."""
    try:
        return metadata.requires(DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        path = ROOT / "pyproject.toml"
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        return tomllib.loads(text).get("project", {}).get("dependencies", [])


def _closure(requirements: Iterable[str]) -> set[str]:
    """Return the names of all distributions that these require, directly or indirectly."""
    closure, new = set(), _plain(requirements)
    while new:
        closure |= new
        new = set().union(*(_plain(_requires(name)) for name in new)) - closure
    return closure


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
    """Return a pip command, or a uv command where pip is missing, for the running Python."""
    python = shlex.quote(sys.executable)
    versions = ROOT / "constraints.txt"
    pinned = ["-c", str(versions)] if action == "install" and versions.is_file() else []
    words = shlex.join([action, *pinned, *options])
    if PathFinder.find_spec("pip") is None:
        return f"uv pip {words} --python {python}"
    return f"{python} -m pip {words}"
