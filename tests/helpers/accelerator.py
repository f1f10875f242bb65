"""A device beside the CPU for machines that have none: it computes there, but is told apart.

What stands on it is a tensor of another type. Whoever mixes the two fails, as on a GPU, and every
wait for the device is counted. It cannot tell how fast a GPU is, nor what bf16 does there.

Run: python -m tests.helpers.accelerator <waits.json> <entry point> [its parameters]
It registers a device with torch, so that it needs a process of its own.
"""

import json
import runpy
import sys
import traceback
from collections import Counter
from pathlib import Path

import torch
import transformers
from torch.utils._pytree import tree_leaves, tree_map_only
from torch.utils.backend_registration import (
    _DummyBackendModule,
    _setup_privateuseone_for_python_backend,
)

import influence

NAME = "pretended"
WAITING = ("aten::_local_scalar_dense", "aten::is_nonzero", "aten::equal", "aten::nonzero")
MAY_MIX = ("aten::copy_", "aten::_to_copy")
PACKAGES = {module.__name__: Path(module.__file__).parent for module in (influence, transformers)}

waits: Counter[str] = Counter()  # by who waited, see _who


class There(torch.Tensor):
    """A tensor on the device; `here` holds its values."""

    here: torch.Tensor

    @staticmethod
    def __new__(cls, here: torch.Tensor):
        """Take on the shape of `here`."""
        made = torch.Tensor._make_wrapper_subclass(
            cls,
            here.shape,
            strides=here.stride(),
            storage_offset=here.storage_offset(),
            dtype=here.dtype,
            device=torch.device(NAME, 0),
        )
        made.here = here
        return made

    @classmethod
    def __torch_dispatch__(cls, operation, types, args=(), kwargs=None):
        """Compute on the CPU what was asked of the device."""
        kwargs = kwargs or {}
        name = operation._schema.name
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        elsewhere = [t for t in tensors if not isinstance(t, There) and t.dim()]
        if elsewhere and name not in MAY_MIX:
            raise RuntimeError(f"{name} of tensors on {NAME} and {elsewhere[0].device}")
        target = kwargs.get("device")
        fetched = target is not None and torch.device(target).type == "cpu"
        if name in WAITING or fetched or (name == "aten::copy_" and not isinstance(args[0], There)):
            waits[_who()] += 1
        given, named = tree_map_only(There, lambda tensor: tensor.here, (args, kwargs))
        if "device" in named:
            named["device"] = torch.device("cpu")
        known = {id(t.here if isinstance(t, There) else t): t for t in tensors}
        made = operation(*given, **named)

        def placed(tensor: torch.Tensor) -> torch.Tensor:
            return known.get(id(tensor), tensor if fetched else There(tensor))

        return tree_map_only(torch.Tensor, placed, made)

    def tolist(self):
        """Return the values; torch refuses it to tensors of other types."""
        return self.cpu().tolist()


class _Module(_DummyBackendModule):
    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16]


def install() -> torch.library.Library:
    """Register the device; it is there as long as what is returned."""
    import safetensors.torch

    _setup_privateuseone_for_python_backend(NAME, _Module())
    library = torch.library.Library("aten", "IMPL")
    library.impl("empty.memory_format", _empty, "PrivateUse1")
    library.impl("empty_strided", _empty_strided, "PrivateUse1")
    # What holds no memory of its own can neither be written as it is, nor go without versions.
    model, save_file = transformers.PreTrainedModel, safetensors.torch.save_file
    save_model = model.save_pretrained
    model.save_pretrained = lambda self, directory: save_model(
        self, directory, state_dict=_fetched(self.state_dict())
    )
    safetensors.torch.save_file = lambda tensors, *args, **kwargs: save_file(
        _fetched(tensors), *args, **kwargs
    )
    torch.inference_mode = torch.no_grad
    return library


def _empty(size, dtype=None, layout=None, device=None, pin_memory=None, memory_format=None):
    return There(torch.empty(size, dtype=dtype))


def _empty_strided(size, stride, dtype=None, layout=None, device=None, pin_memory=None):
    return There(torch.empty_strided(size, stride, dtype=dtype))


def _fetched(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    # Not by `cpu`: a file is no wait that could be saved.
    found = {name: t.here if isinstance(t, There) else t for name, t in tensors.items()}
    return {name: tensor.detach().contiguous() for name, tensor in found.items()}


def _who() -> str:
    """Return who waits: a module of this package by its path, or transformers."""
    for frame in reversed(traceback.extract_stack()):
        if Path(frame.filename).is_relative_to(PACKAGES["transformers"]):
            return "transformers"
        if Path(frame.filename).is_relative_to(PACKAGES["influence"]):
            return Path(frame.filename).relative_to(PACKAGES["influence"]).as_posix()
    return "nobody known"


if __name__ == "__main__":
    written, entry_point = Path(sys.argv[1]), sys.argv[2]
    sys.argv = [entry_point, *sys.argv[3:]]
    torch.set_num_threads(1)
    there = install()
    from tests.helpers.often import write_every_state  # its import binds what `install` replaces

    write_every_state()
    try:
        runpy.run_module(entry_point, run_name="__main__")
    finally:
        written.write_text(json.dumps(waits))
