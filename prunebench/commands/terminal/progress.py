"""Progress of a run: a bar for the whole and a line for each worker on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from prunebench.api.events import Event
from prunebench.commands.terminal.labels import label_of, labels_of
from prunebench.plan.phases import spec_of
from prunebench.plan.specs import TrainSpec
from prunebench.plan.trial import Plan
from prunebench.store.backend import Holder

QUIET_SECONDS = 1.0
"""Plain lines come at most this often."""


class Display(Protocol):
    """Shows events until it is closed."""

    def __call__(self, event: Event) -> None:
        """Show one event."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def display(console: Console, plan: Plan, sample_steps: int) -> Display:
    """The display that fits a console. `sample_steps` is the work still to do, in training examples."""
    return Bars(console, plan, sample_steps) if console.is_terminal else Lines(console, plan)


class _Runs:
    """What is known of each training run: its name, and how its clock counts."""

    def __init__(self, plan: Plan) -> None:
        self._phases = plan.phases
        self._labels = labels_of(plan)

    def label(self, key: str) -> str:
        return self._labels.get(key) or label_of(self._phases[key])

    def samples(self, key: str, iteration: int) -> int:
        spec = spec_of(self._phases, key, TrainSpec)
        return (iteration - spec.start) * spec.recipe.batch


def notice(event: Event, runs: _Runs) -> str | None:
    """What a person should know that is no progress; None for all else."""
    fields = event.fields
    if event.kind == "artifact-lost":
        return f"made again: {fields['error']}"
    if event.kind == "run-stopping":
        return f"stopping: {fields['running']} running phases write a checkpoint"
    if event.kind not in ("phase-failed", "phase-waiting", "phase-restarted"):
        return None
    label = runs.label(str(fields["key"]))
    if event.kind == "phase-failed":
        return f"failed: {label}: {fields['error']}"
    if event.kind == "phase-restarted":
        return f"started again: {label}: {fields['error']}"
    holder = Holder.from_json(fields["holder"])
    return f"waiting: {label}: held by {holder or 'another process'}"


def facts(fields: Mapping[str, Any]) -> str:
    """Iteration, loss and the task's primary metric of a progress event, in a few words."""
    words = [f"{fields['iteration']:,}/{fields['stop']:,} it", f"loss {fields['loss']:.3f}"]
    if fields.get("value") is not None:
        number = f"{fields['value']:.1%}" if fields["unit"] == "fraction" else f"{fields['value']:.4g}"
        words.append(f"{fields['metric']} {number}")
    return "  ".join(words)


class Bars:
    """One bar for the whole, one line for each worker."""

    def __init__(self, console: Console, plan: Plan, sample_steps: int) -> None:
        self._runs = _Runs(plan)
        self._samples: dict[str, int] = {}
        self._lines: dict[str, TaskID] = {}
        self._done = 0
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[facts]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
        )
        self._whole = self._progress.add_task("starting workers", total=max(1, sample_steps), facts="")
        self._progress.start()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        fields = event.fields
        if event.kind == "run-started":
            self._total = int(fields["runs"])
        elif event.kind == "phase-started" and fields["phase"] == "train":
            key = str(fields["key"])
            if key in self._lines:  # it was started before, and given back or lost
                self._progress.remove_task(self._lines[key])
            self._lines[key] = self._progress.add_task(f"  {self._runs.label(key)}", total=None, facts="")
        elif event.kind == "progress":
            self._advance(fields)
        elif event.kind in ("phase-done", "phase-failed") and str(fields["key"]) in self._lines:
            self._progress.remove_task(self._lines.pop(str(fields["key"])))
            self._done += 1
        text = notice(event, self._runs)
        if text is not None:
            self._progress.console.print(text, markup=False)
        if event.kind != "row":
            self._progress.update(
                self._whole,
                description=f"{self._done} of {getattr(self, '_total', 0)} training runs",
                completed=sum(self._samples.values()),
            )

    def _advance(self, fields: Mapping[str, Any]) -> None:
        key = str(fields["key"])
        self._samples[key] = self._runs.samples(key, int(fields["iteration"]))
        if key in self._lines:
            self._progress.update(
                self._lines[key], total=fields["stop"], completed=fields["iteration"], facts=facts(fields)
            )

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()


class Lines:
    """A line now and then, for logs."""

    def __init__(self, console: Console, plan: Plan) -> None:
        self._console = console
        self._runs = _Runs(plan)
        self._done, self._total, self._told, self._began = 0, 0, 0.0, time.monotonic()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        fields = event.fields
        if event.kind == "run-started":
            self._total = int(fields["runs"])
            self._print(f"{self._total} training runs to do")
        elif event.kind == "phase-done" and fields["phase"] == "train":
            self._done += 1
            now = time.monotonic()
            if now - self._told >= QUIET_SECONDS or self._done == self._total:
                self._told = now
                left = (now - self._began) / self._done * (self._total - self._done)
                label = self._runs.label(str(fields["key"]))
                self._print(f"{self._done}/{self._total} runs, about {left:.0f} s left; done: {label}")
        text = notice(event, self._runs)
        if text is not None:
            self._print(text)

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Nothing to tidy."""
