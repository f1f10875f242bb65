"""Compare what two commands left, but for what the clock says."""

import io
import json
from pathlib import Path
from typing import Any

import pandas as pd

from influence import store

SECONDS = "seconds"  # of work; the name of a field, or the end of a metric's name
TIMED = {"trials.csv": ("started", "ended")}  # columns of single files that hold a time of day


def differences(one: Path, other: Path) -> list[str]:
    """Return the files of two step directories that are not the same, or are in one alone.

    Left out are fields and columns that hold seconds of work, `TIMED`, and, in a manifest, size
    and digest of those files that hold one of these; everything else is compared byte by byte.
    """
    left, right = files(one), files(other)
    names = sorted(left.keys() | right.keys())
    return [name for name in names if left.get(name) != right.get(name)]


def files(root: Path) -> dict[str, Any]:
    """Return what each file holds, untimed, by its path below `root`."""
    paths = sorted(path for path in root.rglob("*") if path.is_file() and path.name != ".lock")
    return {str(path.relative_to(root)): content(path) for path in paths}


def content(path: Path) -> Any:
    """Return bytes, or, of a file that says how long something took, all else that it says."""
    raw = path.read_bytes()
    if path.name == store.MANIFEST:
        manifest = untimed(json.loads(raw))
        timed = [n for n in manifest["files"] if isinstance(content(path.parent / n), str)]
        return json.dumps(manifest | {"files": {**manifest["files"], **dict.fromkeys(timed)}})
    if path.suffix == ".json":
        found = untimed(json.loads(raw))
        return raw if found == json.loads(raw) else json.dumps(found)
    if path.suffix == ".jsonl":
        lines = [json.loads(line) for line in raw.splitlines()]
        return raw if untimed(lines) == lines else json.dumps(untimed(lines))
    if path.suffix == ".csv":
        table = pd.read_csv(io.BytesIO(raw), dtype=str, keep_default_na=False)
        clock = [name for name in (SECONDS, *TIMED.get(path.name, ())) if name in table]
        return table.drop(columns=clock).to_csv() if clock else raw
    return raw


def untimed(value: Any) -> Any:
    """Return a JSON value without the fields that hold seconds."""
    if isinstance(value, dict):
        own = {n: v for n, v in value.items() if n != SECONDS and not n.endswith(f"/{SECONDS}")}
        return {name: untimed(inner) for name, inner in own.items()}
    return [untimed(inner) for inner in value] if isinstance(value, list) else value
