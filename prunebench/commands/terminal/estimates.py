"""What is said of how long a plan will take."""

from __future__ import annotations

from collections.abc import Mapping

from prunebench.commands.counted_nouns import counted
from prunebench.commands.terminal.durations import duration_text
from prunebench.runner.estimate import Estimate


def time_text(time: Estimate) -> str:
    """How long a plan will take, on what, and how that is known."""
    if time.seconds is None:
        return "time: unknown, since no run here has trained the like; `--calibrate` tries a few steps"
    if not time.seconds:
        return "time: nothing is left to do"
    workers = counted(time.slots, "worker")
    how = f"by {time.basis}"
    if time.basis == "a short calibration":
        how += " of training steps, without measuring and reading data"
    if time.known < 0.9:
        how += f"; {1 - time.known:.0%} of it is work unlike any known, at the mean pace"
    return f"time: about {duration_text(time.seconds)} with {workers} on {time.device}, {how}"


def long_plan(seconds: float, shorter: Mapping[str, float]) -> str:
    """A warning before a plan of more than a day, with what is shorter."""
    text = f"warning: this takes more than a day (about {duration_text(seconds)})."
    if not shorter:
        return f"{text} The file has no shorter profile; `--only ENTRY` and `--seeds` do less."
    names = ", ".join(f"--profile {name} (about {duration_text(time)})" for name, time in shorter.items())
    return f"{text} Shorter: {names}."
