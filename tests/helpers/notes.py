"""The description of a run, apart from the links that follow it."""

from influence.tracking import operations


def verdict(run) -> str:
    """Return what a run is described by, without links to its curves and to earlier runs."""
    note = run.data.tags.get(operations.NOTE, "")
    return note.partition(" [All curves in one chart](")[0].partition("\n\nFinished before")[0]
