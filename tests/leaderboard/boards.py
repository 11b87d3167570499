"""Made-up results that look like real ones."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from prunebench.api.board import Board, Group
from prunebench.api.details import Detail
from prunebench.api.provenance import Provenance
from prunebench.api.results import Results
from prunebench.api.rows import Row
from prunebench.leaderboard import board_of, write_leaderboard

DENSITIES = (0.512, 0.262144, 0.134217, 0.0687)
ENTRIES = ("imp", "imp-late", "random")

PROVENANCE: dict[str, Any] = {
    "seeds": [0, 1, 2],
    "wall_seconds": 4221.3,
    "hardware": {"cpu": "Some CPU", "cores": 2, "memory_gib": 15.6, "device": "cpu"},
    "environment": {"torch": "2.15.0", "threads": 1},
    "prunebench": "0.1.0",
    "components": {"magnitude": {"version": 1, "distribution": "prunebench", "paper": "Han et al. 2015"}},
    "profile": None,
    "file": "benchmarks/lottery-ticket.toml",
    "finished": "2026-02-03T10:11:12Z",
    "runs": {"naive": 112, "distinct": 61},
    "steps": 1_234_567,
}


def row(entry: str, seed: int, density: float | None, value: float | None, **changes: Any) -> dict[str, Any]:
    """One result; round 0 where the density is 1."""
    return {
        "entry": entry,
        "model": "lenet",
        "data": "mnist",
        "seed": seed,
        "round": 0 if density == 1.0 else 1,
        "draw": 0,
        "twin": 0,
        "role": "evaluate",
        "density": density,
        "density_all": density,
        "position": "1000it",
        "metric": "accuracy",
        "split": "test",
        "value": value,
        "unit": "fraction",
        "outcome": "ok",
        "key": "0" * 64,
        **changes,
    }


def inapplicable(entry: str, seed: int, **changes: Any) -> dict[str, Any]:
    """What stands for a trial of a method that does not apply to the network."""
    nothing = {"role": "find", "metric": "", "split": "", "unit": "", "position": "", "key": ""}
    return row(entry, seed, None, None, **nothing, outcome="inapplicable", note="no batch norm", **changes)


def results(
    entries: Iterable[str] = ENTRIES, seeds: int = 3, densities: Iterable[float] = DENSITIES, **changes: Any
) -> list[dict[str, Any]]:
    """A dense reference and pruned entries: each entry is worse than the one before, and worse when sparser."""
    noise = random.Random(1)
    densities = tuple(densities)
    rows = []
    for seed in range(seeds):
        base = 0.98 + noise.gauss(0, 0.001)
        rows.append(row("dense", seed, 1.0, base, **changes))
        for place, entry in enumerate(entries):
            for round_, density in enumerate(densities, start=1):
                value = base - 0.002 * place * round_ + noise.gauss(0, 0.001)
                rows.append(row(entry, seed, density, value, round=round_, **changes))
    return rows


def typed_row(row: Mapping[str, Any]) -> Row:
    """A row as it is read from a file."""
    return Row.model_validate_json(json.dumps(row))


def typed_detail(detail: Mapping[str, Any]) -> Detail:
    """A detail as it is read from a file."""
    return TypeAdapter[Detail](Detail).validate_json(json.dumps(detail))


def typed(
    rows: Iterable[Mapping[str, Any]],
    details: Iterable[Mapping[str, Any]] = (),
    provenance: Mapping[str, Any] = PROVENANCE,
    **report: Any,
) -> Results:
    """Results as they are read from files, with ordinary settings; those of `report` in their place."""
    ordinary = {"name": "lottery", "claim": "Tickets win.", "metric": "test/accuracy", "against": "dense"}
    settings = {**ordinary, "alpha": 0.05, "notes": [], "expectations": [], **report}
    fields = {"entries": ["dense", *ENTRIES], **provenance, "report": settings}
    return Results(
        settings["name"],
        [typed_row(row) for row in rows],
        [typed_detail(detail) for detail in details],
        Provenance.model_validate_json(json.dumps(fields)),
    )


def made(rows: Iterable[Mapping[str, Any]], **changes: Any) -> tuple[Results, Board]:
    """Results and their board; changes are of the report, but for `entries`, `provenance` and `details`."""
    entries = changes.pop("entries", ("dense", *ENTRIES))
    provenance = {**changes.pop("provenance", PROVENANCE), "entries": list(entries)}
    found = typed(rows, changes.pop("details", ()), provenance, **changes)
    return found, board_of(found)


def board(rows: Iterable[Mapping[str, Any]], **changes: Any) -> Board:
    """The board of these rows."""
    return made(rows, **changes)[1]


def group(rows: Iterable[Mapping[str, Any]], **changes: Any) -> Group:
    """The only group of these rows' board."""
    (only,) = board(rows, **changes).groups
    return only


def ranks(rows: Iterable[Mapping[str, Any]], **changes: Any) -> list[tuple[str, int | None]]:
    """The ranked entries in their order, with their ranks."""
    found = group(rows, **changes)
    return [(name, found.entries[name].rank) for name in found.order]


def lines_of(text: str) -> list[list[str]]:
    """The cells of the Markdown tables in a text, heads and rulers too."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def write(folder: Path, rows: Iterable[Mapping[str, Any]], **changes: Any) -> str:
    """Write a leaderboard with ordinary settings; its page."""
    write_leaderboard(folder, *made(rows, **changes))
    return (folder / "README.md").read_text(encoding="utf-8")
