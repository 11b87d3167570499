"""When early stopping would stop, and the task's primary metric there: a table and a picture of each over density.

The iteration is that of the lowest validation loss, the first of equals, among the points of `measure.every`.

Source: Frankle & Carbin 2019, figures 4, 5 and 9.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.board import Board
from prunebench.api.task import EARLY_STOP, STOPPED_AT

ITERATION = f"valid/{STOPPED_AT}"


class EarlyStopping:
    """Writes early-stopping.md, and a picture for each of its sections."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_report(self, board: Board, folder: Path) -> None:
        """Write what was measured of the iteration and of the primary metric on each split, there and at the end."""
        from prunebench.api.report import draw_curves, escape, results_table

        parts = ["# Early stopping"]
        if ITERATION not in board.measured:
            parts.append('It was not measured: it needs `measure.every`, and "valid" in `measure.splits`.')
        else:
            parts.append(
                "A run stops where its validation loss is lowest. One that is still improving where training ends is "
                "cut off there, at the horizon, and would have stopped later: its iteration is a lower bound."
            )
        for metric, title in titles(primary_of(board)).items():
            if metric not in board.measured:
                continue
            ranked = board.of(metric)
            picture = f"early-stopping-{metric.replace('/', '-').replace('_', '-')}.svg"
            (folder / picture).write_text(draw_curves(ranked), encoding="utf-8", newline="\n")
            parts += [f"## {title}", f"![{escape(metric)} over density]({picture})"]
            for group in ranked.groups:
                parts += [f"### {escape(group.model)} on {escape(group.data)}", results_table(group, board.alpha)]
        (folder / "early-stopping.md").write_text("\n\n".join(parts) + "\n", encoding="utf-8", newline="\n")


def primary_of(board: Board) -> str:
    """The name of the task's primary metric; earlier folders do not state it, but have it at early stopping."""
    names = [name.partition("/")[2] for name in board.measured]
    stopped = [name for name in names if name.startswith(EARLY_STOP) and name != STOPPED_AT]
    stated = board.provenance.primary or next(iter(stopped), board.metric.partition("/")[2])
    return stated.removeprefix(EARLY_STOP)


def titles(primary: str) -> dict[str, str]:
    """The metrics that are written, each with its title."""
    found = {ITERATION: "Iteration of early stopping"}
    for when, prefix in (("at early stopping", EARLY_STOP), ("at the end of training", "")):
        for split in ("train", "valid", "test"):
            words = f"{split} {primary}".replace("_", " ").capitalize()
            found.setdefault(f"{split}/{prefix}{primary}", f"{words} {when}")
    return found


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `early-stopping`."""
    paper = "Frankle & Carbin 2019, figures 4, 5 and 9"
    yield Component("early-stopping", ComponentConfig, EarlyStopping, version=1, paper=paper)
