"""TensorBoard: every trial's training curves, and its metrics by density, as scalars.

While a run goes on they are written below the trackers' folder, point by point; a training that several trials share is
drawn in each of them. Once the results are there they are written whole, beside the leaderboard.
"""

from __future__ import annotations

import shutil
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from re import sub
from typing import Any

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.events import Event
from prunebench.api.results import Results
from prunebench_plugins.trackers._live import LivePoint, LiveTrials
from prunebench_plugins.trackers._packages import need
from prunebench_plugins.trackers._series import Tickets, Trial, trials_of

OPEN = 32
"""Trials whose files are open at a time."""
PER_WHOLE = 1_000_000
"""A step is a whole number: the step of a density is its parts per million."""


class Tensorboard:
    """Writes a run for each trial below `tensorboard/` in the leaderboard's folder, and writes them anew each time.

    Curves have the iteration as their step, metrics by density the density in parts per million: 213,600 is 21.36 %.
    """

    def __init__(self, config: ComponentConfig) -> None:
        need("tensorboard")
        self._trials: LiveTrials | None = None
        self._writers: OrderedDict[int, Any] = OrderedDict()

    @hookimpl
    def prunebench_track(self, event: Event, folder: Path) -> None:
        """Show with `tensorboard --logdir FOLDER/log/tensorboard`; a run that is taken up again writes it anew."""
        own = folder / "tensorboard"
        if event.kind == "run-started":
            self._close()
            shutil.rmtree(own, ignore_errors=True)
            self._trials = LiveTrials(event.fields)
        if self._trials is None:
            return
        for news in self._trials.news(event):
            writer = self._writer(news.trial, own)
            if isinstance(news, LivePoint):
                for name, value in news.values.items():
                    writer.add_scalar(f"curves/{news.curve}/{name}", value, news.iteration)
            else:
                add_ticket(writer, news.ticket)
            writer.flush()
        if event.kind == "run-finished":
            self._close()

    def _writer(self, trial: int, own: Path) -> Any:
        """The writer of a trial; of the files of many trials only some are open."""
        from torch.utils.tensorboard import SummaryWriter

        assert self._trials is not None
        if trial not in self._writers:
            if len(self._writers) >= OPEN:
                self._writers.popitem(last=False)[1].close()
            self._writers[trial] = SummaryWriter(own / folder_of(self._trials.trial(trial)))
        self._writers.move_to_end(trial)
        return self._writers[trial]

    def _close(self) -> None:
        while self._writers:
            self._writers.popitem()[1].close()

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
            add_ticket(writer, ticket)
        for why in trial.inapplicable:
            writer.add_text("outcome", why)
    for file in folder.glob("events.out.tfevents.*"):
        file.rename(folder / "events.out.tfevents.0.prunebench")  # its own name tells the machine's


def add_ticket(writer: Any, ticket: Tickets) -> None:
    """The metrics of one ticket."""
    behind = f"/draw-{ticket.draw}" if ticket.draw else ""
    if ticket.density is None:  # of a round that was not judged, or of the trial as a whole
        behind, step = "/by-round", ticket.round or 0
    else:
        step = round(PER_WHOLE * ticket.density)
    for name, value in ticket.values.items():
        writer.add_scalar(name + behind, value, step)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `tensorboard`."""
    yield Component("tensorboard", ComponentConfig, Tensorboard, version=1)
