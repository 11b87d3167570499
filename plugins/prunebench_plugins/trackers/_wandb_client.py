"""Hands finished runs to the W&B client, in a process of its own: `python -P _wandb_client.py JOB.json`.

The client keeps global state, changes its process's environment and leaves threads behind; none of that belongs into
the process of a benchmark. This file imports nothing of prunebench, so it needs no more than an interpreter with wandb.

The job is {"root", "settings", "patience", "runs"}. A line of JSON on standard output tells of each run, in order:
{"id", "folder"} once it is done, or {"id", "error"}, which is the last.

A job {"root", "settings", "live": true} follows a benchmark while it goes on: a line of JSON on standard input is
{"begin": run}, {"log": id, "line": values} or {"finish": id}; its end finishes all runs, so that what was told before
a kill is kept.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from threading import Timer
from typing import Any, TextIO

QUIET = {
    "console": "off",
    "disable_code": True,
    "disable_git": True,
    "disable_job_creation": True,
    "finish_timeout_raises": True,
    # The machine's name, the user's and this file's path are nobody's business.
    "host": "prunebench",
    "username": "prunebench",
    "email": "",
    "program": "prunebench",
    "x_executable": "python",
    "label_disable": True,
    "save_code": False,
    "silent": True,
    "symlink": False,
    "use_dot_wandb": False,
    "x_disable_machine_info": True,
    "x_disable_meta": True,
    "x_disable_stats": True,
    "x_save_requirements": False,
}
"""Settings without which the client captures the console, and tells of the machine, the code and what is installed."""


def publish(job: Mapping[str, Any], tell: TextIO) -> None:
    """Hand over the runs of a job until one fails."""
    import wandb

    settings = {**QUIET, **job["settings"], "root_dir": job["root"]}
    for run in job["runs"]:
        # A client that hangs must not keep a benchmark from ending.
        watchdog = Timer(2 * job["patience"] + 60, os._exit, (3,))
        watchdog.daemon = True
        watchdog.start()
        try:
            told = {"id": run["id"], "folder": hand_over(wandb, settings, run)}
        except Exception as error:  # the network, the server, the disk, the client itself
            told = {"id": run["id"], "error": f"{type(error).__name__}: {error}"}
        watchdog.cancel()
        print(json.dumps(told), file=tell, flush=True)
        if "error" in told:
            return


def hand_over(wandb: Any, settings: Mapping[str, Any], run: Mapping[str, Any]) -> str:
    """One run, from its beginning to its end; the name of its folder."""
    started = wandb.init(
        id=run["id"],
        project=run["project"],
        entity=run["entity"],
        name=run["name"],
        group=run["group"],
        job_type=run["job_type"],
        tags=run["tags"],
        notes=run["notes"],
        config=run["config"],
        settings=wandb.Settings(**settings),
        reinit="finish_previous",
    )
    for name, step in run["metrics"].items():
        # A full stop in a name would be read as a nested one.
        started.define_metric(name.replace(".", "\\."), step_metric=step)
    for line in run["history"]:
        started.log(line)
    media: dict[str, Any] = {}
    for name, table in run["tables"].items():
        wandb.Table.MAX_ROWS = max(wandb.Table.MAX_ROWS, len(table["data"]))
        media[name] = wandb.Table(columns=table["columns"], data=table["data"])
    for name, text in run["pictures"].items():
        media[name] = wandb.Html(text, inject=False)  # an image would have to be made of pixels
    if media:
        started.log(media)
    started.summary.update(run["summary"])
    for one in run["artifacts"]:
        artifact = wandb.Artifact(one["name"], one["type"], metadata=one["metadata"])
        for name, path in one["files"].items():
            # "immutable" files are there until they are synced, and need no copies beside them.
            artifact.add_file(path, name=name, policy=one["policy"], skip_cache=True)
        started.log_artifact(artifact)
    return end(started)


def end(run: Any) -> str:
    """Finish a run; the name of its folder."""
    folder = Path(run.settings.sync_dir)
    run.finish()
    # A link to the service's own log, which is not kept.
    (folder / "logs" / "debug-core.log").unlink(missing_ok=True)
    return folder.name


OPEN = 16
"""Live runs that are open at a time."""


class LiveRuns:
    """The runs of a benchmark while it goes on."""

    def __init__(self, wandb: Any, settings: Mapping[str, Any], root: str) -> None:
        self._wandb, self._settings = wandb, {**QUIET, **settings, "root_dir": root}
        self._begun: dict[str, Mapping[str, Any]] = {}
        self._waiting: dict[str, list[Mapping[str, Any]]] = {}
        self._open: dict[str, Any] = {}
        self._finished: set[str] = set()

    def take(self, message: Mapping[str, Any]) -> None:
        """Do what one line says."""
        if "begin" in message:
            self._begun[message["begin"]["id"]] = message["begin"]
        elif "log" in message:
            id = message["log"]
            if id in self._open:
                self._open[id].log(message["line"])
            else:
                self._waiting.setdefault(id, []).append(message["line"])
        else:
            self._finished.add(message["finish"])
            if message["finish"] in self._open:
                self._close(message["finish"])
        for id in self._next():
            self._start(id)

    def _next(self) -> Iterator[str]:
        while self._waiting and len(self._open) < OPEN:
            yield next(iter(self._waiting))

    def _start(self, id: str) -> None:
        described = self._begun[id]
        run = self._wandb.init(**described, settings=self._wandb.Settings(**self._settings), reinit="create_new")
        # Later names than these follow the same rules.
        for name, step in (("curves/*", "iteration"), ("tickets/*", "density"), ("find/*", "density")):
            run.define_metric(step)
            run.define_metric(name, step_metric=step)
        self._open[id] = run
        for line in self._waiting.pop(id):
            run.log(line)
        if id in self._finished:
            self._close(id)

    def _close(self, id: str) -> None:
        end(self._open.pop(id))

    def end(self) -> None:
        """Finish all runs."""
        while self._open or self._waiting:
            for id in list(self._open):
                self._close(id)
            for id in self._next():
                self._start(id)


def follow(job: Mapping[str, Any], lines: Iterable[str]) -> None:
    """Do what each line says, and finish all runs at their end."""
    import wandb

    runs = LiveRuns(wandb, job["settings"], job["root"])
    try:
        for line in lines:
            runs.take(json.loads(line))
    finally:
        runs.end()


def main() -> None:
    """Read the job whose path is the first argument, and carry it out."""
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    if job.get("live"):
        os.dup2(2, 1)
        follow(job, sys.stdin)
        return
    # Whatever the client or its service print goes where errors go: standard output is for what this file tells.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as tell:
        os.dup2(2, 1)
        publish(job, tell)


if __name__ == "__main__":
    main()
