"""Results small enough to reason about, for tests of what reports them."""

from __future__ import annotations

from prunebench.api.board import Board
from prunebench.api.details import CurvePoint, EvaluationDetail, LayerCount
from prunebench.api.provenance import Provenance, ReportSettings, RunCounts
from prunebench.api.results import Results
from prunebench.api.rows import Row
from prunebench.leaderboard import board_of


def toy_results() -> Results:
    """The test accuracy of a dense network, 0.9, and of a ticket with half of its weights, 0.8."""
    rows = (_row("dense", 0, 1.0, 0.9), _row("imp", 1, 0.5, 0.8))
    provenance = Provenance(
        prunebench="0",
        file="toy.toml",
        profile=None,
        seeds=(0,),
        entries=("dense", "imp"),
        environment={"torch": "0"},
        hardware={"cpu": "none"},
        wall_seconds=1.0,
        finished="2026-01-01",
        runs=RunCounts(naive=2, distinct=2),
        components={},
        report=ReportSettings(name="toy", claim="", metric="test/accuracy", against="dense", alpha=0.05),
    )
    return Results("toy", rows, tuple(_detail(row) for row in rows), provenance)


def toy_board() -> Board:
    """The board of these results."""
    return board_of(toy_results())


def _row(entry: str, round: int, density: float, value: float) -> Row:
    return Row(
        entry=entry,
        model="two_layer_net",
        data="toy",
        seed=0,
        round=round,
        draw=0,
        twin=0,
        role="evaluate",
        density=density,
        density_all=density,
        position="10it",
        metric="accuracy",
        split="test",
        value=value,
        unit="fraction",
        outcome="ok",
        key="0" * 64,
    )


def _detail(row: Row) -> EvaluationDetail:
    return EvaluationDetail(
        kind="evaluation",
        entry=row.entry,
        model=row.model,
        data=row.data,
        seed=row.seed,
        round=row.round or 0,
        draw=row.draw,
        key=row.key,
        start=0,
        stop=10,
        layers=(LayerCount(name="fc", units=100, kept=100 >> (row.round or 0)),),
        curve=(CurvePoint(iteration=10, values={"test/accuracy": row.value}),),
        artifacts={},
    )
