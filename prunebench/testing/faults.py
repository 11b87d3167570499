"""A score that goes wrong in a way that a test chooses: what executors must contain."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from prunebench.api.masks import Scores, Units

LEAK = 64 * 2**20
"""Bytes that a leak takes at a time."""


class FaultConfig(ComponentConfig):
    """What goes wrong, and how often."""

    kind: Literal[
        "none", "raises", "unspeakable", "lengthy", "exits", "interrupts", "ends", "killed", "leaks", "silent", "leaves"
    ] = "none"
    times: int = 1_000_000
    """How often it goes wrong before it works; counted in `log`."""
    log: str = ""
    """A file that gets a line for each time that it is asked."""


class UnspeakableError(Exception):
    """An exception without a text."""

    def __str__(self) -> str:
        raise RuntimeError("there is no text")


class Fault:
    """Scores by magnitude once it works."""

    def __init__(self, config: FaultConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_score(self, units: Units) -> Scores:
        """|w| of every unit, or a fault."""
        config = self._config
        if config.log:
            with open(config.log, "a") as log:
                log.write(f"{os.getpid()}\n")
            if len(Path(config.log).read_text().splitlines()) > config.times:
                return units.reduce(lambda name, weight: weight.abs())
        match config.kind:
            case "raises":
                raise RuntimeError("this score always fails")
            case "unspeakable":
                raise UnspeakableError
            case "lengthy":
                raise RuntimeError("x" * 5_000_000)
            case "exits":
                sys.exit(0)
            case "interrupts":
                raise KeyboardInterrupt
            case "ends":
                os._exit(7)
            case "killed":
                os.kill(os.getpid(), signal.SIGKILL)
            case "leaks":
                leaked = []
                while True:
                    leaked.append(b"x" * LEAK)
            case "silent":
                while True:
                    time.sleep(0.1)
            case "leaves":
                _leave_global_state()
        return units.reduce(lambda name, weight: weight.abs())


def _leave_global_state() -> None:
    import numpy
    import torch

    torch.set_grad_enabled(False)
    torch.set_default_dtype(torch.float64)
    torch.use_deterministic_algorithms(False)
    torch.set_num_threads(2)
    torch.manual_seed(time.time_ns())
    numpy.random.seed(time.time_ns() % 2**32)
    random.seed(time.time_ns())


@hookimpl
def prunebench_components() -> Iterator[Component]:
    """The components of this file. They are not installed: a catalogue gets them by `with_components`."""
    yield Component("toy-fault", FaultConfig, Fault, version=1)
