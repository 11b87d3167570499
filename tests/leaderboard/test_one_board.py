"""The law: every form of a leaderboard shows the same numbers, and they are those of its rows."""

from __future__ import annotations

import csv
import math
import random
from collections import defaultdict
from collections.abc import Iterable, Mapping
from io import StringIO
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prunebench.api.board import Board
from prunebench.api.report import RECORD_COLUMNS, board_records
from prunebench.api.results import Results
from prunebench.leaderboard import board_of
from prunebench.leaderboard.page.overview import overview
from prunebench.leaderboard.readme import page as readme
from prunebench.leaderboard.records import csv_text
from prunebench.leaderboard.terminal import terminal_tables
from prunebench.leaderboard.tex import tex_tables
from prunebench.results.folder import read_results
from prunebench.verification.fresh import claims
from prunebench.verification.rerun import chosen_entries
from prunebench_plugins.trackers._wandb_runs import runs_of

from . import forms
from .boards import PROVENANCE, inapplicable, row, typed

OF_TOKENS: dict[str, Any] = {
    "metrics": {"perplexity": {"unit": "", "higher": False, "low": 0.0}, "loss": {"unit": "nats", "higher": False}},
    "primary": "perplexity",
}
"""What provenance has of a task that is not the default one."""

COMMITTED = sorted(path.parent for path in Path("leaderboards").glob("*/provenance.json"))


def holds(results: Results) -> None:
    """All that must be equal."""
    board = board_of(results)
    text = readme(board)
    shown = forms.readme(text)
    assert shown
    assert forms.page(overview(board)) == shown
    assert forms.tex(tex_tables(board)) == shown
    recorded = {at: line for at, line in shown.items() if line.cells}
    assert forms.records(board, board_records(board)) == recorded
    table = runs_of(results, board, "a project", None)[-1].content["tables"]["leaderboard"]
    assert table["columns"] == list(RECORD_COLUMNS)
    assert forms.records(board, table["data"]) == recorded
    for width in (30, 80, 400):
        assert forms.terminal(terminal_tables(board, width), width) == shown
    _differences(board, text)
    _verification(board, text)
    _rows(board, csv_text(results.rows))


def _differences(board: Board, text: str) -> None:
    """The difference tables have the records' differences, and verification on fresh seeds takes their mean."""
    shown = forms.differences(text)
    found = {}
    for group in board.groups:
        differences = group.differences
        if differences is None:
            continue
        for (entry, place), one in differences.by_place.items():
            if one.pair is not None:
                printed = None if one.p is None else "<0.001" if one.p < 0.001 else f"={one.p:.3f}"
                at = (f"{group.model} on {group.data}", entry, group.labels[place])
                found[at] = (group.metric.signed(one.pair.difference), printed)
        for entry, overall in differences.overall.items():
            parts = [differences.by_place[entry, place].pair for place in overall.places]
            seeds = [
                group.at(entry, place).values.keys() & group.at(differences.against, place).values.keys()
                for place in overall.places
            ]
            if overall.pair is not None and all(own == seeds[0] for own in seeds):
                assert overall.pair.difference == pytest.approx(mean(p.difference for p in parts if p), abs=1e-9)
    assert found == shown


def _verification(board: Board, text: str) -> None:
    """The claims that fresh seeds are held against are the board's, and the top three are the tables' first three."""
    for claim in claims(board, board, set(board.provenance.entries)):
        (group,) = [g for g in board.groups if (g.model, g.data) == (claim.model, claim.data)]
        assert group.differences is not None
        assert claim.recorded == group.differences.overall[claim.entry].pair
        assert claim.fresh == claim.recorded
    tables: dict[str, list[str]] = defaultdict(list)
    references = {f"{group.model} on {group.data}": group.references for group in board.groups}
    for where, entry in forms.readme(text):
        if entry not in references[where]:
            tables[where].append(entry)
    if all(group.shared for group in board.groups):
        best = {entry for order in tables.values() for entry in order[:3]}
        assert set(chosen_entries("top3", board)) == best


def _rows(board: Board, text: str) -> None:
    """The values of `results.csv`, averaged by other code, are the cells'."""
    split, _, metric = board.metric.partition("/")
    last: dict[tuple[str, ...], dict[str, str]] = {}
    for one in csv.DictReader(StringIO(text)):
        if (one["role"], one["split"], one["metric"], one["twin"]) == ("evaluate", split, metric, "0") and one["value"]:
            run = tuple(one[name] for name in ("model", "data", "entry", "seed", "round", "draw"))
            at = int(one["position"].removesuffix("it"))
            if run not in last or at >= int(last[run]["position"].removesuffix("it")):
                last[run] = one
    for group in board.groups:
        for entry in group.entries.values():
            where = (group.model, group.data, entry.name)
            own = {run[3:]: one for run, one in last.items() if run[:3] == where}
            used = [
                (str(seed), str(run.round), str(run.draw))
                for cell in entry.cells.values()
                for seed, runs in cell.runs.items()
                for run in runs
            ]
            assert len(used) == len(set(used))
            for place, cell in entry.cells.items():
                for seed, value in cell.values.items():
                    mine = {run[1:]: one for run, one in own.items() if run[0] == str(seed)}
                    if board.axis == "density" or entry.dense:
                        taken = [mine[str(run.round), str(run.draw)] for run in cell.runs[seed]]
                        assert all(0 <= place - float(one["density"]) <= 0.005 * place for one in taken)
                        assert value == pytest.approx(mean(float(one["value"]) for one in taken), abs=1e-12)
                    elif seed not in cell.between:  # of a ticket that lies there, or was cut to it
                        near = min(mine.values(), key=lambda one: abs(float(one[board.axis]) / place - 1))
                        assert abs(float(near[board.axis]) / place - 1) <= 0.05
                        taken = [one for one in mine.values() if one["round"] == near["round"]]
                        assert value == pytest.approx(mean(float(one["value"]) for one in taken), abs=1e-12)
                    else:
                        assert value == pytest.approx(_on_axis(mine.values(), place, board.axis), abs=1e-12)


def _on_axis(rows: Iterable[Mapping[str, str]], place: float, axis: str) -> float:
    rounds: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for one in rows:
        rounds[one["round"]].append(one)
    at: dict[float, list[float]] = defaultdict(list)
    for own in rounds.values():
        at[mean(float(one[axis]) for one in own)].append(mean(float(one["value"]) for one in own))
    points = [(where, mean(values)) for where, values in at.items()]
    there = [p for p in points if abs(p[0] - place) <= 0.005 * place and p[0] < 1]
    if there:
        return min(there, key=lambda p: abs(math.log(p[0] / place)))[1]
    below = max((p for p in points if p[0] <= place * (1 + 1e-9)), key=lambda p: p[0])
    above = min((p for p in points if p[0] >= place * (1 - 1e-9)), key=lambda p: p[0])
    if below[0] == above[0]:
        return below[1]
    share = (math.log(place) - math.log(below[0])) / (math.log(above[0]) - math.log(below[0]))
    return below[1] + share * (above[1] - below[1])


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_a_committed_board_is_the_same_in_every_form(folder: Path) -> None:
    holds(read_results(folder))


def generated(chance: random.Random) -> Results:
    """Several models, unequal densities, a cost axis or none, either direction, what breaks, draws, missing seeds.

    Some entries do not apply to some models.
    """
    cost = chance.random() < 0.4
    metric, unit = chance.choice([("accuracy", "fraction"), ("loss", "nats"), ("perplexity", "")])
    entries = [f"entry-{i}" if chance.random() < 0.8 else f"a-name-that-is-quite-long-{i}" for i in range(1, 5)]
    dense = chance.random() < 0.7
    steps = chance.choice([(0.8, 0.64, 0.512), (0.5, 0.25), (0.5, 0.2003, 0.2), (0.9, 0.45, 0.3, 0.15)])
    seeds = chance.randint(1, 4)
    rows: list[dict[str, Any]] = []
    for model in chance.sample(["lenet", "conv2", "conv4"], chance.randint(1, 2)):
        apart = {entry for entry in entries if chance.random() < 0.08}
        for seed in range(seeds):
            named = {"model": model, "metric": metric, "unit": unit}
            if dense:
                rows.append(row("dense", seed, 1.0, chance.random(), density_macs=1.0, **named))
            for number, entry in enumerate(entries[: chance.randint(1, 4)]):
                if entry in apart:
                    rows.append(inapplicable(entry, seed, model=model))
                else:
                    rows += _trial(chance, entry, seed, [step * (1 - 0.001 * number) for step in steps], named)
    report: dict[str, Any] = {"metric": f"test/{metric}", "against": chance.choice(["dense", entries[0], None])}
    if cost:
        report |= {"axis": "density_macs", "at": chance.choice([[0.7, 0.4], [0.5], [0.85, 0.7, 0.5, 0.3]])}
    return typed(rows, (), {**PROVENANCE, **OF_TOKENS, "entries": ["dense", *entries]}, **report)


def _trial(
    chance: random.Random, entry: str, seed: int, densities: list[float], named: Mapping[str, Any]
) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    if chance.random() < 0.1:
        return rows
    for round_, density in enumerate(densities, 1):
        chosen = chance.random()
        if chosen < 0.05:
            outcome = chance.choice(["diverged", "failed"])
            rows.append(row(entry, seed, density, None, round=round_, role="find", outcome=outcome, **named))
            return rows
        outcome = chance.choice(["collapsed", "diverged", "failed"]) if chosen < 0.12 else "ok"
        macs = None if outcome == "failed" else min(1.0, round(density * chance.uniform(0.8, 1.25), 3))
        for draw in range(chance.choice([1, 1, 2])):
            value = None if outcome in ("diverged", "failed") else chance.random()
            placed = {"round": round_, "draw": draw, "density_macs": macs, "outcome": outcome, **named}
            for position in ("10it", "1000it"):
                rows.append(row(entry, seed, density, value, position=position, **placed))
                value = None if value is None else chance.random()
    return rows


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32))
def test_a_generated_board_is_the_same_in_every_form(seed: int) -> None:
    results = generated(random.Random(seed))
    if any(one.role == "evaluate" for one in results.rows):
        holds(results)
