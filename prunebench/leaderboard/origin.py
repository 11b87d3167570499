"""What a page says of where its numbers come from."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from prunebench.leaderboard.markdown import escape, plain, table


def origin(provenance: Mapping[str, Any]) -> str:
    """One line: seeds, hardware, wall time, date."""
    seeds = provenance["seeds"]
    hardware = provenance["hardware"]
    parts = [
        f"{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'} ({', '.join(str(seed) for seed in seeds)})",
        ", ".join(
            [
                escape(hardware.get("cpu") or "unknown processor"),
                f"{hardware.get('cores', '?')} cores",
                f"{_short(hardware.get('memory_gib'))} GiB",
                f"trained on {escape(hardware.get('gpu') or hardware.get('device') or 'an unknown device')}",
            ]
        ),
        f"{duration(float(provenance['wall_seconds']))} of wall time{_stored(provenance['runs'])}",
        f"finished {escape(str(provenance['finished'])[:10])}",
    ]
    return "; ".join(parts) + "."


def reduction(provenance: Mapping[str, Any], notes: Sequence[str]) -> str:
    """What was reduced: the profile, unless a note says it, and the notes."""
    profile = provenance.get("profile")
    said = [escape(note) for note in notes]
    if profile is not None and not any(f'"{profile}"' in note for note in notes):
        said.insert(0, f'Profile "{escape(profile)}": never ranked with full results.')
    if not said:
        return "Reduced: nothing; this is the file's full recipe."
    return "\n".join(["Reduced, or to be known before the first number:", "", *(f"- {note}" for note in said)])


def making(provenance: Mapping[str, Any]) -> str:
    """Command, versions, counts, components with their papers."""
    runs = provenance["runs"]
    parts = [
        _command("run", provenance),
        f"prunebench {escape(provenance['prunebench'])}. The file asks for {runs['naive']:,} training runs; "
        f"{runs['distinct']:,} of them are distinct, and only those were computed.",
    ]
    components = provenance["components"]
    if components:
        lines = [
            [escape(name), str(about["version"]), escape(about["distribution"]), escape(about.get("paper") or "–")]
            for name, about in sorted(components.items())
        ]
        parts.append(table(["component", "version", "distribution", "paper"], lines, "lrll"))
    environment = [[escape(name), escape(value)] for name, value in sorted(provenance["environment"].items())]
    if environment:
        parts.append(table(["environment", "value"], environment, "ll"))
    return "\n\n".join(parts)


def reproduction() -> str:
    """How to get these numbers again, and when the bits agree."""
    return (
        "Run the command above with the versions above. Equal environments (the table above) give equal bits; others "
        "give other roundings, and should agree within the intervals. Every line of `results.jsonl` has the key of "
        "the phase that it came from, and `provenance.json` has what this page says of the run. "
        "`prunebench verify` with this folder runs them again in an empty store and compares every number; "
        "`prunebench report` writes this page again from its results."
    )


def duration(seconds: float) -> str:
    """A wall time as a person says it."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"


def _command(verb: str, provenance: Mapping[str, Any]) -> str:
    words = ["prunebench", verb, plain(provenance["file"])]
    if provenance.get("profile") is not None:
        words += ["--profile", plain(provenance["profile"])]
    for setting in provenance.get("settings", ()):
        words += ["--set", plain(setting)]
    return f"```sh\n{shlex.join(words)}\n```"


def _stored(runs: Mapping[str, Any]) -> str:
    """The wall time leaves out what an earlier run had computed."""
    if not runs.get("cached"):
        return ""
    return f", without that of {runs['cached']:,} of {runs['distinct']:,} runs, which were in the store"


def _short(number: float | None) -> str:
    return "?" if number is None else f"{number:.3g}"
