"""Events of a run -> lines for the live client, through a thread that never keeps the run waiting."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from prunebench.api.events import Event
from prunebench_plugins.trackers import _wandb_client
from prunebench_plugins.trackers._live import LivePoint, LiveTrials
from prunebench_plugins.trackers._wandb_runs import described_trial, identity_of, ticket_line


class Stream:
    """The live runs of one execution, below `folder`.

    Args:
        place: project, entity and group of the runs.
        settings: of the client.
        environment: of its process, but for the folders that it may write to.
    """

    def __init__(
        self,
        started: Mapping[str, Any],
        folder: Path,
        place: Mapping[str, Any],
        settings: Mapping[str, Any],
        environment: Mapping[str, str],
        patience: float,
    ) -> None:
        self._trials, self._patience = LiveTrials(started), patience
        self._left = [one["tickets"] for one in self._trials.described]
        self._ids = [identity_of(self._trials.benchmark, **_named(one)) for one in self._trials.described]
        self._private = tempfile.TemporaryDirectory(prefix="prunebench-wandb-")
        private = Path(self._private.name)
        job = private / "job.json"
        job.write_text(json.dumps({"settings": dict(settings), "root": str(folder), "live": True}), encoding="utf-8")
        self._errors = (private / "errors").open("w", encoding="utf-8")
        self._process = subprocess.Popen(
            # -P: the folder of that file is not for importing from; it has a `tensorboard` of its own.
            [sys.executable, "-P", _wandb_client.__file__, str(job)],
            env={
                **environment,
                "HOME": str(private),
                "TMPDIR": str(private),
                "WANDB_CACHE_DIR": str(private / "cache"),
                "WANDB_CONFIG_DIR": str(private / "config"),
            },
            cwd=private,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._errors,
            text=True,
            encoding="utf-8",
        )
        self._lines: SimpleQueue[str | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()
        for index, one in enumerate(self._trials.described):
            content = described_trial(self._trials.benchmark, self._trials.trial(index), one["keys"], place)
            self._say({"begin": {"id": self._ids[index], **content}})

    def take(self, event: Event) -> None:
        """Pass an event's news on."""
        for news in self._trials.news(event):
            id = self._ids[news.trial]
            if isinstance(news, LivePoint):
                values = {f"curves/{news.curve}/{name}": value for name, value in news.values.items()}
                self._say({"log": id, "line": {"iteration": news.iteration, **values}})
            else:
                self._say({"log": id, "line": ticket_line(news.ticket)})
        if event.kind == "ticket":
            trial = event.fields["trial"]
            self._left[trial] -= 1
            if not self._left[trial]:
                self._say({"finish": self._ids[trial]})

    def end(self) -> None:
        """Finish the runs; the client has `patience` seconds for it."""
        self._lines.put(None)
        self._thread.join(self._patience)
        try:
            self._process.wait(self._patience)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()
        self._private.cleanup()

    def _say(self, message: Mapping[str, Any]) -> None:
        self._lines.put(json.dumps(message))

    def _write(self) -> None:
        assert self._process.stdin is not None
        try:
            while (line := self._lines.get()) is not None:
                self._process.stdin.write(line + "\n")
                self._process.stdin.flush()
            self._process.stdin.close()
        except OSError:  # the client is gone; the finished results are published all the same
            return


def _named(described: Mapping[str, Any]) -> dict[str, Any]:
    return {name: described[name] for name in ("entry", "model", "data", "seed", "keys")}


def clear(folder: Path) -> None:
    """Remove what earlier live runs left that is not on a server: it is told again, or published whole."""
    for run in (*folder.glob("offline-run-*"), *folder.glob("run-*")):
        if not list(run.glob("*.synced")):
            shutil.rmtree(run, ignore_errors=True)
