"""The pictures of docs/wandb.md, drawn from W&B runs that lie on disk: `python docs/wandb_pictures.py BOARD`.

BOARD is the folder of a leaderboard that was run with `--wandb offline`. The runs are read back with the client's own
command, so that what is drawn is what would be synced.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")
matplotlib.rcParams["svg.hashsalt"] = "prunebench"
from matplotlib import pyplot  # noqa: E402

PICTURES = Path(__file__).parent / "pictures"
CURVE, TICKETS = "curves/round-08/test/accuracy", "tickets/test/accuracy"


def records(run: Path) -> list[dict[str, Any]]:
    """The records of a run on disk."""
    command = [sys.executable, "-P", "-m", "wandb", "leet", "inspect", "--json", str(run)]
    environment = {**os.environ, "WANDB_ERROR_REPORTING": "false"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def trials(board: Path) -> dict[str, list[list[dict[str, Any]]]]:
    """The histories of all trials, by entry."""
    found = defaultdict(list)
    for run in sorted((board / "wandb").glob("offline-run-*")):
        lines = records(run)
        (about,) = [line["run"] for line in lines if line["type"] == "run"]
        if about["job_type"] == "trial":
            history = [line["history"]["item"] for line in lines if line["type"] == "history"]
            found[about["config"]["update"]["entry"]].append(history)
    return found


def chart(histories: dict[str, list[list[dict[str, Any]]]], axis: str, metric: str, file: Path) -> None:
    """A line a run, as a workspace draws one metric against its axis."""
    figure, axes = pyplot.subplots(figsize=(6, 3.4), layout="constrained")
    for index, (entry, runs) in enumerate(histories.items()):
        for number, history in enumerate(runs):
            points = sorted((item[axis], item[metric]) for item in history if metric in item and axis in item)
            style = {"color": f"C{index}", "lw": 1, "label": entry if number == 0 else None}
            axes.plot(*zip(*points, strict=True), marker="." if len(points) < 8 else "", **style)
    if axis == "density":
        axes.set_xscale("log")
        axes.invert_xaxis()
    axes.set(xlabel=axis, ylabel=metric)
    axes.legend(fontsize=8)
    figure.savefig(file, metadata={"Date": None})


def main(board: Path) -> None:
    """Draw a training curve and a metric by density of every trial."""
    PICTURES.mkdir(exist_ok=True)
    histories = trials(board)
    judged = {entry: runs for entry, runs in histories.items() if any(CURVE in line for line in runs[0])}
    chart(judged, "iteration", CURVE, PICTURES / "wandb-curves.svg")
    pruned = {entry: runs for entry, runs in histories.items() if sum(TICKETS in line for line in runs[0]) > 1}
    chart(pruned, "density", TICKETS, PICTURES / "wandb-tickets.svg")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
