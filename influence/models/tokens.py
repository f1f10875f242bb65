"""Token sequences, and how examples become padded batches.

All sequences lie in one flat array, which may as well be a map of a file: a subset of the examples
is a choice of places in it, and what no batch asks for is never read.
"""

import mmap
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import pandas as pd
import torch
from torch import Tensor

POOL = 50  # batches among which training sorts by length


@dataclass(frozen=True)
class Tokens:
    """Tokenised examples: `ids[starts[i]:starts[i] + lengths[i]]` are the tokens of example i."""

    ids: np.ndarray  # int32 (tokens,)
    types: np.ndarray | None  # int8 (tokens,): first or second text, where the model reads it
    starts: np.ndarray  # int64 (examples,)
    lengths: np.ndarray  # int32 (examples,)
    pad: int

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.lengths)

    def take(self, rows: np.ndarray) -> "Tokens":
        """Return the examples `rows`, in that order; their tokens stay where they are."""
        starts, lengths = read(self.starts, rows), read(self.lengths, rows)
        return replace(self, starts=starts, lengths=lengths)


def encode(tokenizer, texts: pd.DataFrame, max_length: int, types: bool) -> Tokens:
    """Tokenise the columns `text` and, where present, `text_pair`, cut at `max_length` tokens."""
    pairs = {"text_pair": texts["text_pair"].tolist()} if "text_pair" in texts else {}
    encoded = tokenizer(
        texts["text"].tolist(),
        **pairs,
        truncation=True,
        max_length=max_length,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=types,
    )
    lengths = np.array([len(ids) for ids in encoded["input_ids"]], dtype=np.int32)
    return Tokens(
        ids=_flat(encoded["input_ids"], np.int32),
        types=_flat(encoded["token_type_ids"], np.int8) if types else None,
        starts=starts_of(lengths),
        lengths=lengths,
        pad=tokenizer.pad_token_id,
    )


def read(values: np.ndarray, places: np.ndarray | slice) -> np.ndarray:
    """Return a copy of `values` at `places`; of a map of a file no page stays in memory for it.

    Pages that were read once would count as this process's own until the last one is, though the
    system, which keeps the file, gives them again at once.
    """
    copied = np.array(values[places])
    if isinstance(values.base, mmap.mmap):
        values.base.madvise(mmap.MADV_DONTNEED)
    return copied


def starts_of(lengths: np.ndarray) -> np.ndarray:
    """Return where each sequence begins if all lie in a row, int64 (examples,)."""
    return np.cumsum(lengths, dtype=np.int64) - lengths


def empty_inputs(tokenizer, examples: int, pair: bool, types: bool) -> Tokens:
    """Return `examples` inputs that hold no text: what the null model of PVI is trained on."""
    columns = ["text", "text_pair"] if pair else ["text"]
    one = encode(tokenizer, pd.DataFrame({name: [""] for name in columns}), 8, types)
    ids = one.ids if len(one.ids) else np.array([one.pad], dtype=np.int32)
    kinds = None if one.types is None else np.resize(one.types, len(ids))
    nowhere, lengths = np.zeros(examples, dtype=np.int64), np.full(examples, len(ids), np.int32)
    return Tokens(ids, kinds, nowhere, lengths, one.pad)  # all are the same one


def collate(
    tokens: Tokens, rows: np.ndarray, device: torch.device | str = "cpu", width: int = 0
) -> dict[str, Tensor]:
    """Return the model's inputs for `rows`, right-padded to the longest of them, or to `width`."""
    lengths = tokens.lengths[rows]
    real = np.arange(max(width, lengths.max())) < lengths[:, None]
    flat = _positions(tokens.starts[rows], lengths)
    inputs = {"input_ids": _padded(read(tokens.ids, flat), real, tokens.pad)}
    if tokens.types is not None:
        inputs["token_type_ids"] = _padded(read(tokens.types, flat), real, 0)
    inputs["attention_mask"] = torch.from_numpy(real.astype(np.int64))
    return {name: sent(tensor, device) for name, tensor in inputs.items()}


def sent(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Return a tensor of this process's memory on `device`.

    A GPU reads it from pinned memory, on its own, while this process prepares the next batch; from
    other memory each transfer would wait for all that the GPU still has to do.
    """
    if torch.device(device).type == "cuda":
        tensor = tensor.pin_memory()
    return tensor.to(device, non_blocking=True)


def pad_values(starts: np.ndarray, lengths: np.ndarray, values: np.ndarray, fill: int) -> Tensor:
    """Return `values` (tokens,), one per token, as `collate` lays out examples of these places."""
    real = np.arange(lengths.max()) < lengths[:, None]
    return _padded(values[_positions(starts, lengths)], real, fill)


def training_batches(
    lengths: np.ndarray, batch_size: int, seed: int, epoch: int, pool: int = POOL
) -> Iterator[np.ndarray]:
    """Yield one epoch of shuffled batches whose examples have similar lengths.

    The order depends on seed and epoch alone. Examples are shuffled, cut into pools of `pool`
    batches, sorted by length inside a pool, cut into batches, and the batches shuffled.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(lengths))
    for start in range(0, len(order), pool * batch_size):
        some = order[start : start + pool * batch_size]
        some[:] = some[np.argsort(lengths[some], kind="stable")]
    for batch in generator.permutation(-(-len(order) // batch_size)):
        yield order[batch * batch_size : (batch + 1) * batch_size]


def usual_tokens(device: torch.device | str) -> int:
    """Return the tokens, padding included, of a batch that nothing is trained on.

    On a CPU no more than stay in its cache from one layer to the next, on a GPU enough to fill it.
    """
    return 1024 if torch.device(device).type == "cpu" else 32768


def budget_batches(lengths: np.ndarray, budget: int) -> Iterator[np.ndarray]:
    """Yield all examples by length, as many at once as fit into `budget` tokens with padding."""
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        # Lengths ascend, so the padded size of order[start:end] is its last length times its count.
        counts = np.arange(1, min(len(order) - start, budget + 1) + 1)
        sizes = lengths[order[start : start + len(counts)]] * counts
        end = start + max(1, int(np.searchsorted(sizes, budget, side="right")))
        yield order[start:end]
        start = end


def _positions(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    return np.repeat(starts - starts_of(lengths), lengths) + np.arange(lengths.sum())


def _padded(values: np.ndarray, real: np.ndarray, pad: int) -> Tensor:
    """Put `values` where `real` (examples, width) is true, `pad` elsewhere."""
    padded = np.full(real.shape, pad, dtype=np.int64)
    padded[real] = values
    return torch.from_numpy(padded)


def _flat(lists: list[list[int]], dtype) -> np.ndarray:
    return np.fromiter(chain.from_iterable(lists), dtype=dtype)
