"""What every finished step directory holds: the facts that each step hands on to the next."""

import base64
from dataclasses import dataclass
from functools import cached_property
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from influence.config.parameters import FitConfig, restored
from influence.data.storage import Saved, open_saved
from influence.errors import InputError
from influence.runtime import store

DATA, TOKENIZER = "data", "tokenizer"  # folders of every step directory but that of a curve
HANDED_ON = ("dataset", "label_names", "recall", "task", "fit")


@dataclass(frozen=True)
class Result:
    """A finished step directory: opening it reads its manifest, everything else is read when asked.

    Raises InputError if the directory is not a finished one of this step, or a file is missing.
    """

    directory: Path
    step: ClassVar[str] = ""

    def __post_init__(self) -> None:
        """Read the manifest, so that nothing unfinished is ever opened."""
        object.__setattr__(self, "directory", Path(self.directory).absolute())
        _ = self._manifest

    def __repr__(self) -> str:
        """Name the directory and what is in it, in one line."""
        try:
            facts = "".join(f", {fact}" for fact in self._facts())
        except InputError:  # another version wrote it, which is said where it matters
            facts = ""
        return f"{type(self).__name__}('…/{self.directory.name}'{facts})"

    def _repr_html_(self) -> str:
        """Show it in a notebook: its one line, and its tables."""
        tables = (table.to_html(index=False, border=0, na_rep="") for table in self._tables())
        return "\n".join([f"<p><code>{escape(repr(self))}</code></p>", *tables])

    def __reduce__(self) -> tuple:
        """Travel to a worker as the directory alone: what was read of it may be large."""
        return type(self), (self.directory,)

    @cached_property
    def _manifest(self) -> dict[str, Any]:
        return store.read_manifest(self.directory, self.step)

    @property
    def fingerprint(self) -> str:
        """Name of the result: equal requests have equal results."""
        return self._manifest["fingerprint"]

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters of the step."""
        return self._manifest["parameters"]

    @property
    def versions(self) -> dict[str, str]:
        """Versions of the packages that the numbers depend on."""
        return self._manifest["versions"]

    @property
    def dataset_name(self) -> str:
        """Name of the dataset, as it was asked for."""
        return self._manifest["dataset"]["name"]

    @property
    def label_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their numbers."""
        return tuple(self._manifest["label_names"])

    @property
    def task(self) -> str:
        """Classify, or nlu for the stack of a voice assistant."""
        return self._manifest["task"]

    @cached_property
    def fit(self) -> FitConfig:
        """How the scored model was trained.

        Raises InputError if another version of this package wrote it.
        """
        return restored(FitConfig, self._manifest["fit"], f"{self.directory} was written")

    @property
    def recall(self) -> np.ndarray | None:
        """Validation recall of every class (classes,), 0 for one without validation examples.

        None where no model was there to be validated.
        """
        if not (by_name := self._manifest["recall"]):
            return None
        return np.array([by_name.get(name, 0.0) for name in self.label_names])

    @cached_property
    def data(self) -> Saved:
        """The dataset as it was used."""
        return open_saved(self.directory / DATA)

    @property
    def handed_on(self) -> dict[str, Any]:
        """What the next step writes into its own manifest."""
        return {name: self._manifest[name] for name in HANDED_ON}

    def share(self, directory: Path) -> None:
        """Leave the dataset and the tokenizer in the directory of the next step, as links."""
        for part in (DATA, TOKENIZER):
            store.copy_tree(self.directory / part, directory / part)

    def verify(self) -> None:
        """Raise InputError for a file that is not, byte by byte, what the step wrote."""
        store.verify(self.directory, self._manifest)

    def _facts(self) -> list[str]:
        """Return what the one line says of the content."""
        return []

    def _tables(self) -> list[pd.DataFrame]:
        """Return what a notebook shows below the one line."""
        return []


def as_image(figure: Any, text: str) -> str:
    """Return a Matplotlib figure as an image of a page; `text` describes it."""
    picture = BytesIO()
    figure.savefig(picture, format="png", dpi=100)
    data = base64.b64encode(picture.getvalue()).decode()
    return f'<img alt="{escape(text)}" style="max-width: 100%" src="data:image/png;base64,{data}">'
