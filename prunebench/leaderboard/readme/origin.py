"""What a page says of where its numbers come from."""

from __future__ import annotations

from prunebench.api.board import Board
from prunebench.api.provenance import Provenance, RunCounts
from prunebench.api.report import NOTHING, escape, table
from prunebench.leaderboard.facts import command, duration, environment_facts, hardware_facts, notes_of, which_seeds


def origin(provenance: Provenance) -> str:
    """One line: seeds, hardware, wall time, date."""
    parts = [
        which_seeds(provenance),
        ", ".join(escape(fact) for fact in hardware_facts(provenance)),
        f"{duration(provenance.wall_seconds)} of wall time{_stored(provenance.runs)}",
        f"finished {escape(provenance.finished[:10])}",
    ]
    return "; ".join(parts) + "."


def reduction(board: Board) -> str:
    """What was reduced: the profile, unless a note says it, and the notes."""
    notes = [escape(note) for note in notes_of(board)]
    if not notes:
        return "Reduced: nothing; this is the file's full recipe."
    return "\n".join(["Reduced, or to be known before the first number:", "", *(f"- {note}" for note in notes)])


def making(provenance: Provenance) -> str:
    """Command, versions, counts, components with their papers."""
    runs = provenance.runs
    parts = [
        f"```sh\n{command(provenance)}\n```",
        f"prunebench {escape(provenance.prunebench)}. The file asks for {runs.naive:,} training runs; "
        f"{runs.distinct:,} of them are distinct, and only those were computed.",
    ]
    if provenance.components:
        lines = [
            [escape(name), str(about.version), escape(about.distribution), escape(about.paper or NOTHING)]
            for name, about in sorted(provenance.components.items())
        ]
        parts.append(table(["component", "version", "distribution", "paper"], lines, "lrll"))
    environment = [[escape(name), escape(value)] for name, value in environment_facts(provenance)]
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


def _stored(runs: RunCounts) -> str:
    """The wall time leaves out what an earlier run had computed."""
    if not runs.cached:
        return ""
    return f", without that of {runs.cached:,} of {runs.distinct:,} runs, which were in the store"
