"""TensorBoard: every trial's training curves, and its metrics by density, as scalars.

Written when the results are there rather than from events as they arrive: phases are shared between trials, and only
the results say which curve belongs to which.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from re import sub

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.results import Results
from prunebench_plugins.trackers._packages import need
from prunebench_plugins.trackers._series import Trial, trials_of

PER_WHOLE = 1_000_000
"""A step is a whole number: the step of a density is its parts per million."""


class Tensorboard:
    """Writes a run for each trial below `tensorboard/` in the leaderboard's folder, and writes them anew each time.

    Curves have the iteration as their step, metrics by density the density in parts per million: 213,600 is 21.36 %.
    """

    def __init__(self, config: ComponentConfig) -> None:
        need("tensorboard")

    @hookimpl
    def prunebench_report(self, results: Results, folder: Path) -> None:
        """Show with `tensorboard --logdir FOLDER/tensorboard`."""
        own = folder / "tensorboard"
        shutil.rmtree(own, ignore_errors=True)  # what was there before would be drawn over by what comes
        for trial in trials_of(results):
            write(trial, own / folder_of(trial))


def folder_of(trial: Trial) -> str:
    """A folder name that a person can read, different for different trials."""
    readable = sub(r"[^\w.+=-]+", "_", f"{trial.entry}-{trial.model}-{trial.data}-seed{trial.seed}")
    return f"{readable[:100]}-{sha256(trial.name.encode()).hexdigest()[:6]}"


def write(trial: Trial, folder: Path) -> None:
    """One trial's scalars; what has no number (diverged, failed) has no point."""
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(folder) as writer:
        for curve in trial.curves():
            for iteration, values in curve.points:
                for name, value in values.items():
                    writer.add_scalar(f"curves/{curve.name}/{name}", value, iteration)
        for ticket in trial.tickets():
            behind = f"/draw-{ticket.draw}" if ticket.draw else ""
            if ticket.density is None:  # of a round that was not judged, or of the trial as a whole
                behind, step = "/by-round", ticket.round or 0
            else:
                step = round(PER_WHOLE * ticket.density)
            for name, value in ticket.values.items():
                writer.add_scalar(name + behind, value, step)
    for file in folder.glob("events.out.tfevents.*"):
        file.rename(folder / "events.out.tfevents.0.prunebench")  # its own name tells the machine's


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `tensorboard`."""
    yield Component("tensorboard", ComponentConfig, Tensorboard, version=1)
