"""Progress of a run: a bar for the whole and a line for each worker on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

from prunebench.api.events import Event
from prunebench.commands.counted_nouns import counted
from prunebench.commands.terminal.durations import duration_text
from prunebench.commands.terminal.heartbeat import Heartbeat
from prunebench.commands.terminal.labels import label_of, labels_of
from prunebench.commands.terminal.work_done import WorkDone
from prunebench.plan.phases import spec_of
from prunebench.plan.specs import TrainSpec
from prunebench.plan.trial import Plan
from prunebench.store.backend import Holder

FINISHED_SECONDS = 10.0
"""Plain lines tell of finished runs at most this often."""
LATE = 0.05
"""A share of a run: a measurement that lies further back does not go with the present loss, and says where it is of."""


class Display(Protocol):
    """Shows events until it is closed."""

    def __call__(self, event: Event) -> None:
        """Show one event."""
        ...

    def close(self) -> None:
        """Leave the terminal as it was."""
        ...


def display(console: Console, plan: Plan, work: Mapping[str, int], *, every: bool = False) -> Display:
    """The display that fits a console.

    Args:
        work: what is still to do of each training run, by its key, in training examples.
        every: a line for every training that ends, on a terminal too.
    """
    if (console.is_terminal or console.is_jupyter) and not every:
        return Bars(console, plan, work)
    return Lines(console, plan, work, apart=0.0 if every else FINISHED_SECONDS)


class _Runs:
    """What is known of the training runs: their names, how far each is, and how long the rest will take."""

    def __init__(self, plan: Plan, work: Mapping[str, int]) -> None:
        self._phases = plan.phases
        self._labels = labels_of(plan)
        self.work = WorkDone(work)
        self.done, self.total = 0, 0
        self.began = False
        """Whether any work was started."""
        self._left: tuple[float, float] | None = None
        """When it was said last how long the rest will take, and the seconds."""
        self.now: dict[str, str] = {}
        """Running ones by key: what is known of each in a few words."""
        self.aside: dict[str, None] = {}
        """The phases that are worked on and train nothing, by key, in the order in which they were started."""

    def label(self, key: str) -> str:
        return self._labels.get(key) or label_of(self._phases[key])

    def __call__(self, event: Event, now: float) -> None:
        fields = event.fields
        if event.kind == "run-started":
            self.total = int(fields["runs"])
            return
        if event.kind == "time-left":
            self._left = now, float(fields["seconds"])
            return
        if not fields.get("key"):
            return
        key = str(fields["key"])
        self.began = self.began or event.kind == "phase-started"
        if self._phases[key].kind != "train":
            if event.kind == "phase-started":
                self.aside[key] = None
            elif event.kind.startswith("phase-") or event.kind == "artifact-lost":
                self.aside.pop(key, None)
            return
        if event.kind == "phase-started":
            self.now[key] = ""
        elif event.kind == "progress":
            spec = spec_of(self._phases, key, TrainSpec)
            self.work.advance(key, (int(fields["iteration"]) - spec.start) * spec.recipe.batch)
            self.now[key] = facts(fields)
        elif event.kind in ("phase-done", "phase-failed"):
            self.now.pop(key, None)
            self.done += 1
            (self.work.finish if event.kind == "phase-done" else self.work.drop)(key)
        elif event.kind in ("phase-waiting", "phase-restarted"):
            self.now.pop(key, None)

    def time(self, now: float) -> str:
        """How long it will still take, in words; empty while nothing can be said, and at the end."""
        if self._left is None:
            return ""
        at, seconds = self._left
        left = seconds - (now - at)
        return "" if left <= 0 else f"about {duration_text(left)} left"

    def how_far(self, now: float) -> str:
        """Runs that are done, and the time left."""
        words = [f"{self.done:,} of {self.total:,} training runs done", self.time(now)]
        return ", ".join(filter(None, words))


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
        if fields["iteration"] - fields["measured_at"] > LATE * fields["stop"]:
            words[-1] += f" at {fields['measured_at']:,} it"
    return "  ".join(words)


class Bars:
    """One bar for the whole, one line for each worker."""

    def __init__(self, console: Console, plan: Plan, work: Mapping[str, int]) -> None:
        self._runs = _Runs(plan, work)
        self._lines: dict[str, TaskID] = {}
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TextColumn("{task.fields[facts]}", markup=False),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        total = max(1, self._runs.work.total)
        self._whole = self._progress.add_task("starting workers", total=total, facts="")
        self._progress.start()

    def __call__(self, event: Event) -> None:
        """Show one event."""
        fields, now = event.fields, time.monotonic()
        self._runs(event, now)
        if event.kind == "phase-started":
            key = str(fields["key"])
            if key in self._lines:  # it was started before, and given back or lost
                self._progress.remove_task(self._lines[key])
            self._lines[key] = self._progress.add_task(f"  {self._runs.label(key)}", total=None, facts="")
        elif event.kind == "progress" and str(fields["key"]) in self._lines:
            line = self._lines[str(fields["key"])]
            self._progress.update(line, total=fields["stop"], completed=fields["iteration"], facts=facts(fields))
        elif event.kind.startswith("phase-") and str(fields["key"]) in self._lines:  # done, or not any more
            self._progress.remove_task(self._lines.pop(str(fields["key"])))
        text = notice(event, self._runs)
        if text is not None:
            self._progress.console.print(text, markup=False)
        if event.kind != "row":
            self._progress.update(
                self._whole,
                description=f"{self._runs.done:,} of {self._runs.total:,} training runs",
                total=max(1, self._runs.work.total),
                completed=self._runs.work.done,
                facts=self._runs.time(now),
            )

    def close(self) -> None:
        """Leave the terminal as it was."""
        self._progress.stop()


class Lines:
    """A line now and then, for logs: what was begun, what is done, and how long it will take.

    Something is said within `heartbeat.FIRST_SECONDS`, and from then on every `heartbeat.EVERY_SECONDS`, whatever
    happens or does not.

    Args:
        clock: seconds of a clock that never goes back.
        apart: seconds between two lines of finished trainings, at least.
    """

    def __init__(
        self,
        console: Console,
        plan: Plan,
        work: Mapping[str, int],
        clock: Callable[[], float] = time.monotonic,
        apart: float = FINISHED_SECONDS,
    ) -> None:
        self._console, self._clock, self._apart = console, clock, apart
        self._runs = _Runs(plan, work)
        self._finished_at = -apart
        self._lock = Lock()
        self.heartbeat = Heartbeat(self._beat, clock)

    def __call__(self, event: Event) -> None:
        """Show one event."""
        with self._lock:
            now = self._clock()
            self._runs(event, now)
            text = self._text(event, now)
        if text is not None:
            self._print(text)

    def _text(self, event: Event, now: float) -> str | None:
        if event.kind == "run-started":
            return f"{counted(self._runs.total, 'training run')} to do" if self._runs.total else "nothing to train"
        if event.kind == "phase-done" and event.fields["phase"] == "train":
            if now - self._finished_at < self._apart and self._runs.done < self._runs.total:
                return None
            self._finished_at = now
            return f"{self._runs.how_far(now)}; last: {self._runs.label(str(event.fields['key']))}"
        return notice(event, self._runs)

    def _beat(self) -> None:
        with self._lock:
            # A training says more than what is done beside it.
            now, running = self._clock(), {**self._runs.now, **dict.fromkeys(self._runs.aside, "")}
            words = [self._runs.how_far(now)] if self._runs.total else ["working"]
            if running:
                key, known = next(iter(running.items()))
                more = f" (and {len(running) - 1} more)" if len(running) > 1 else ""
                words.append(f"now: {self._runs.label(key)}{f', {known}' if known else ''}{more}")
            elif self._runs.done < self._runs.total:
                words.append("between trainings" if self._runs.began else "workers are starting")
        self._print("; ".join(words))

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False, soft_wrap=True)
        self.heartbeat.spoke()

    def close(self) -> None:
        """Say no more."""
        self.heartbeat.stop()
