"""What pages say of where numbers come from, as plain text."""

from __future__ import annotations

import shlex

from prunebench.api.board import Board
from prunebench.api.provenance import Provenance, Scalar
from prunebench.api.report import plain


def how_many_seeds(provenance: Provenance) -> str:
    """How many seeds; "1 of 5" where others of the file are missing."""
    there, missing = len(provenance.seeds), len(provenance.missing_seeds)
    return f"{there} of {there + missing}" if missing else str(there)


def which_seeds(provenance: Provenance) -> str:
    """How many seeds, and which."""
    seeds = provenance.seeds
    return f"{len(seeds)} {'seed' if len(seeds) == 1 else 'seeds'} ({', '.join(str(seed) for seed in seeds)})"


def hardware_facts(provenance: Provenance) -> list[str]:
    """Processor, cores, memory, and what was trained on."""
    hardware = provenance.hardware
    memory = hardware.get("memory_gib")
    return [
        plain(hardware.get("cpu") or "unknown processor"),
        plain(f"{hardware.get('cores', '?')} cores"),
        f"{f'{memory:.3g}' if isinstance(memory, int | float) else '?'} GiB",
        plain(f"trained on {hardware.get('gpu') or hardware.get('device') or 'an unknown device'}"),
    ]


def environment_facts(provenance: Provenance) -> list[tuple[str, Scalar]]:
    """What bits depend on beside the phase, each with its value; of several environments, of each by its id."""
    if not provenance.environments:
        return sorted(provenance.environment.items())
    return [
        (f"{one}: {name}", value)
        for one, fields in sorted(provenance.environments.items(), key=lambda pair: pair[1] != provenance.environment)
        for name, value in sorted(fields.items())
    ]


def notes_of(board: Board) -> list[str]:
    """What a reader must know before the first number; the profile is among it even where no note says so."""
    profile = board.provenance.profile
    notes = [plain(note) for note in board.notes]
    if profile is not None and not any(f'"{profile}"' in note for note in board.notes):
        notes.insert(0, f'Profile "{plain(profile)}": never ranked with full results.')
    return notes


def title_of(board: Board) -> str:
    """The board's name, with the profile that was run: that is not the file's study."""
    profile = board.provenance.profile
    return plain(board.name) + (f', profile "{plain(profile)}"' if profile is not None else "")


def command(provenance: Provenance) -> str:
    """The command that makes these results."""
    words = ["prunebench", "run", plain(provenance.file)]
    if provenance.profile is not None:
        words += ["--profile", plain(provenance.profile)]
    for setting in provenance.settings:
        words += ["--set", plain(setting)]
    return shlex.join(words)


def duration(seconds: float) -> str:
    """A wall time in the units that a reader would choose."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.3g} s"
