"""Devices: which are there, what they compute in, how much memory they have left."""

import os
import sys
from contextlib import suppress
from pathlib import Path

from influence.errors import InputError

UNKNOWN = 4 << 30  # bytes that are taken for free where the system does not say (Windows)


def has_bf16(device: str) -> bool:
    """Tell whether `device` computes in bf16; other CPUs emulate it, many times slower."""
    import torch

    if device.startswith("cuda"):
        return torch.cuda.is_bf16_supported()
    known = getattr(torch.cpu, "get_capabilities", dict)()  # of older versions nothing is known
    return bool(known.get("avx512_bf16") or known.get("amx_bf16"))


def has_tf32(device: str) -> bool:
    """Tell whether `device` multiplies fp32 matrices in tf32, as GPUs since Ampere do."""
    import torch

    return device.startswith("cuda") and torch.cuda.get_device_capability(device)[0] >= 8


def settled(precision: str, device: str) -> str:
    """Return the precision that `auto` means on `device`: what results depend on is this.

    On a CPU that is fp32 also where bf16 is faster: numbers are to be the same on all of them. tf32
    is fp32 where the device has none.
    """
    if precision == "tf32" and not has_tf32(device):
        return "fp32"
    if precision != "auto":
        return precision
    return "bf16" if device.startswith("cuda") and has_bf16(device) else "fp32"


def free_memory(device: str) -> int:
    """Return the bytes of memory that are free on a device, to what is known here."""
    import torch

    if device.startswith("cuda"):  # others share that of the processor
        return torch.cuda.mem_get_info(device)[0]
    with suppress(OSError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        available = next(line for line in lines if line.startswith("MemAvailable"))
        return min(int(available.split()[1]) << 10, _allowed_memory())
    with suppress(AttributeError, ValueError, OSError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    return UNKNOWN


def _allowed_memory() -> int:
    """Return what the container of this process has left, if it is limited."""
    group = Path("/sys/fs/cgroup")
    with suppress(OSError, ValueError):
        limit = int((group / "memory.max").read_text())
        return limit - int((group / "memory.current").read_text())
    return sys.maxsize


def device_named(name: str) -> str:
    """Return the device that `name` means; raise InputError if it is not there."""
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError):
        raise InputError(
            f"device {name!r} is not there; use cpu, or auto for a GPU if there is one"
        ) from None
    return name
