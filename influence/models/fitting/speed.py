"""How fast the trainings of a command are that run side by side, and what share of the peak."""

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import nn

from influence.models.classifier import LAYERS
from influence.models.shortcuts.first_token import seen_once
from influence.runtime.step import say

EVERY = 60  # seconds between two reports
# TFLOP/s of dense matrices in bf16, in fp16 on a T4, which has no bf16; from NVIDIA's data sheets.
# The first name counts that is a word of the device's.
PEAKS = {
    "H100 PCIe": 756,
    "H100 NVL": 835,
    "H100": 989,
    "H200": 989,
    "A100": 312,
    "L4": 121,
    "T4": 65,
    "RTX 4090": 165,
}


class Speed:
    """Counts what is trained, from all threads, and says it once a minute and at the end."""

    def __init__(self) -> None:
        """Count from nothing."""
        self.lock, self.device = threading.Lock(), torch.device("cpu")
        self.trainings, self.examples, self.work = 0, 0, 0.0  # work: floating-point operations
        self.running, self.most, self.since = 0, 0, 0.0
        self.seconds = 0.0  # in which something was trained, up to `since` while it is
        self.recording = 0.0  # seconds
        self.told = (0, 0.0, 0.0)  # examples, work and seconds of the last report

    @contextmanager
    def of_training(self, device: torch.device) -> Iterator[None]:
        """Count the time of a training."""
        with self.lock:
            self._pass_time()
            self.device, self.running = device, self.running + 1
            self.most = max(self.most, self.running)
        try:
            yield
        finally:
            with self.lock:
                self._pass_time()
                self.running -= 1

    @contextmanager
    def of_recording(self) -> Iterator[None]:
        """Count the time of a recording; one thread records at a time."""
        began = time.perf_counter()
        try:
            yield
        finally:
            self.recording += time.perf_counter() - began

    def count(self, examples: int, work: float) -> None:
        """Count the examples of a training that has ended, and its floating-point operations."""
        with self.lock:
            self._pass_time()
            self.trainings += 1
            self.examples, self.work = self.examples + examples, self.work + work
            now = (self.examples, self.work, self.seconds)
            done, spent, seconds = (a - b for a, b in zip(now, self.told, strict=True))
            if seconds < EVERY:
                return
            self.told, at_once = now, self.running
        say(f"train: {self._shown(done, spent, seconds)}, trainings at once: {at_once}")

    def end(self) -> None:
        """Say what all of it was."""
        if not self.trainings:
            return
        say(
            f"train: {self._shown(self.examples, self.work, self.seconds)} in {self.trainings} "
            f"trainings, at most {self.most} at once; recording took {self.recording:.1f} s"
        )

    def _shown(self, examples: int, work: float, seconds: float) -> str:
        seconds = max(seconds, 1e-9)
        return f"{examples / seconds:,.0f} examples per second" + _share(
            work / seconds, self.device
        )

    def _pass_time(self) -> None:
        now = time.perf_counter()
        self.seconds += now - self.since if self.running else 0.0
        self.since = now


def work_of(model: nn.Module, lengths: np.ndarray) -> float:
    """Return the floating-point operations of training on examples of these lengths, on average.

    Six for each parameter, but those of embeddings, and each token that it sees; for attention
    twelve for each layer, dimension and pair of tokens. Padding is not counted, nor what a last
    layer does not compute because only its first token is read.
    """
    embedded = {
        id(p) for m in model.modules() if isinstance(m, nn.Embedding) for p in m.parameters()
    }
    parameters = sum(p.numel() for p in model.parameters() if id(p) not in embedded)
    once = sum(weights.numel() for weights in seen_once(model))
    config = model.base_model.config
    layers = next((getattr(config, name) for name in LAYERS if hasattr(config, name)), 0)
    pair = 12 * getattr(config, "hidden_size", 0)
    tokens = lengths.astype(np.float64)
    looking = (layers - 1) * tokens + (1 if once else tokens)  # in all layers
    return float(np.mean(6 * ((parameters - once) * tokens + once) + pair * looking * tokens))


def name_of(device: torch.device) -> str:
    """Return what the maker calls a device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def _share(per_second: float, device: torch.device) -> str:
    """Say what share of the device's peak so many operations per second are, if it is known."""
    name = name_of(device)
    peak = next((peak for known, peak in PEAKS.items() if re.search(rf"\b{known}\b", name)), None)
    if peak is None:
        return ""
    return f" ({100 * per_second / (peak * 1e12):.1f} % of the {peak} TFLOP/s of {name})"
