"""Which examples of a class lie near each other in the encoder's representation."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from influence.shapes import Float, Int

NEAREST = 15  # classmates that are kept of each example: the most that a rule reads
BLOCK = 1024  # rows whose similarities to all others are in memory together
FLAT = 5e-4  # length of a vector less its class mean that may be the rounding of float16 alone


@dataclass(frozen=True, eq=False)
class Representations:
    """The encoder's vectors of all examples; who is near whom is computed once, when asked.

    Only examples of one class are compared. A fine-tuned encoder places a class almost at one
    point, so that plain cosines hardly differ; therefore a similarity here is the cosine of two
    vectors of length 1 less the mean of their class. Vectors that equal the mean are similar to
    each other alone.
    """

    vectors: Float[np.ndarray, "examples width"]
    labels: Int[np.ndarray, " examples"]

    @cached_property
    def nearest(
        self,
    ) -> tuple[Int[np.ndarray, "examples nearest"], Float[np.ndarray, "examples nearest"]]:
        """The rows of the 15 nearest classmates of each example, and their similarities.

        The nearest comes first; in place of those that a small class lacks stands the example
        itself with similarity -inf.
        """
        from sklearn.neighbors import NearestNeighbors  # slow to import, and few rules need it

        rows = np.repeat(np.arange(len(self.labels))[:, None], NEAREST, axis=1)
        similarities = np.full(rows.shape, -np.inf)
        for own, unit in self._classes():
            if count := min(NEAREST, len(own) - 1):
                found = NearestNeighbors(n_neighbors=count, algorithm="brute").fit(unit)
                distances, places = found.kneighbors()
                rows[own, :count] = own[places]
                similarities[own, :count] = 1 - distances**2 / 2
        return rows, similarities

    @cached_property
    def repeats(self) -> Float[np.ndarray, " examples"]:
        """The highest similarity of each example to a classmate farther from the mean, else -inf.

        Of examples near each other, all but the one farthest from the mean of their class have a
        high value. Equally far ones count as if earlier rows were farther.
        """
        highest = np.full(len(self.labels), -np.inf)
        for own, unit in self._classes():
            for start in range(0, len(own), BLOCK):
                end = min(start + BLOCK, len(own))
                similar = unit[start:end] @ unit[:end].T
                similar[np.triu_indices(end - start, k=start, m=end)] = -np.inf
                highest[own[start:end]] = similar.max(1)
        return highest

    def _classes(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows of each class, the farthest from its mean first, and their directions.

        One more coordinate is that of vectors that have no direction.
        """
        for label in np.unique(self.labels):
            own = np.flatnonzero(self.labels == label)
            vectors = _of_length_one(self.vectors[own].astype(np.float32))
            vectors -= vectors.mean(0)
            lengths = np.linalg.norm(vectors, axis=1)
            flat = (lengths < FLAT).astype(np.float32)
            unit = np.concatenate([_of_length_one(vectors) * (1 - flat)[:, None], flat[:, None]], 1)
            ranked = np.argsort(-lengths, kind="stable")
            yield own[ranked], unit[ranked]


def _of_length_one(vectors: np.ndarray) -> np.ndarray:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
