"""Hands finished runs to the W&B client, in a process of its own: `python -P _wandb_client.py JOB.json`.

The client keeps global state, changes its process's environment and leaves threads behind; none of that belongs into
the process of a benchmark. This file imports nothing of prunebench, so it needs no more than an interpreter with wandb.

The job is {"root", "settings", "patience", "runs"}. A line of JSON on standard output tells of each run, in order:
{"id", "folder"} once it is done, or {"id", "error"}, which is the last.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
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
    folder = Path(started.settings.sync_dir)
    started.finish()
    # A link to the service's own log, which is not kept.
    (folder / "logs" / "debug-core.log").unlink(missing_ok=True)
    return folder.name


def main() -> None:
    """Read the job whose path is the first argument, and carry it out."""
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    # Whatever the client or its service print goes where errors go: standard output is for what this file tells.
    with os.fdopen(os.dup(1), "w", encoding="utf-8") as tell:
        os.dup2(2, 1)
        publish(job, tell)


if __name__ == "__main__":
    main()
