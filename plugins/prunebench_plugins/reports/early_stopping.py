"""When early stopping would stop, and the accuracies there: a table and a picture of each over density.

The iteration is that of the lowest validation loss, the first of equals, among the points of `measure.every`.

Source: Frankle & Carbin 2019, figures 4, 5 and 9.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.board import Board

ITERATION = "valid/early_stop_iteration"
TITLES = {
    ITERATION: "Iteration of early stopping",
    "train/early_stop_accuracy": "Train accuracy at early stopping",
    "valid/early_stop_accuracy": "Valid accuracy at early stopping",
    "test/early_stop_accuracy": "Test accuracy at early stopping",
    "train/accuracy": "Train accuracy at the end of training",
    "valid/accuracy": "Valid accuracy at the end of training",
    "test/accuracy": "Test accuracy at the end of training",
}


class EarlyStopping:
    """Writes early-stopping.md, and a picture for each of its sections."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_report(self, board: Board, folder: Path) -> None:
        """Write what was measured of the iteration and of the three accuracies, there and at the end."""
        from prunebench.api.report import draw_curves, escape, results_table

        parts = ["# Early stopping"]
        if ITERATION not in board.measured:
            parts.append('It was not measured: it needs `measure.every`, and "valid" in `measure.splits`.')
        for metric, title in TITLES.items():
            if metric not in board.measured:
                continue
            ranked = board.of(metric)
            picture = f"early-stopping-{metric.replace('/', '-').replace('_', '-')}.svg"
            (folder / picture).write_text(draw_curves(ranked), encoding="utf-8", newline="\n")
            parts += [f"## {title}", f"![{escape(metric)} over density]({picture})"]
            for group in ranked.groups:
                parts += [f"### {escape(group.model)} on {escape(group.data)}", results_table(group, board.alpha)]
        (folder / "early-stopping.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8", newline="\n")


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `early-stopping`."""
    paper = "Frankle & Carbin 2019, figures 4, 5 and 9"
    yield Component("early-stopping", ComponentConfig, EarlyStopping, version=1, paper=paper)
