"""Weights & Biases: a run for each trial, and one with the leaderboard.

While a benchmark goes on, each trial's run gets its training curves and a line for each judged ticket as they come; a
training that several trials share is logged in each of them. Offline these live runs lie below `log/wandb`. Once the
results are there every run is written whole, from them, under the id that it had live: what is published in the end
does not depend on interruptions, and a run that was killed and taken up again leaves nothing twice.

Each run's id follows from what it is of, so publishing again updates it. What did not change is not published again.
Without a key, or where the network is lost, the runs are kept beside the leaderboard for `wandb sync`. The paths of
tickets in there are absolute: sync before moving the folder.
"""

from __future__ import annotations

import json
import netrc
import os
import site
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import Field

from prunebench import Component, ComponentConfig, PrunebenchError, hookimpl
from prunebench.api.board import Board
from prunebench.api.errors import LostArtifact
from prunebench.api.events import Event
from prunebench.api.results import Results
from prunebench_plugins.trackers import _wandb_client
from prunebench_plugins.trackers._packages import Unavailable, need
from prunebench_plugins.trackers._wandb_published import Entry, Published
from prunebench_plugins.trackers._wandb_runs import GROUP, Run, leaderboard_files, runs_of
from prunebench_plugins.trackers._wandb_stream import Stream, clear

PUBLIC = "https://api.wandb.ai"

INTERPRETER = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "PYTHONPATH", "SYSTEMROOT")
"""What a process needs to run at all. Of everything else in the environment the client learns nothing."""

NETWORK = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE")
"""What it needs besides, in capitals or not, to reach a server."""


class WandbConfig(ComponentConfig):
    """What is published, and where.

    `mode`: "auto" is `$WANDB_MODE`, or online if there is a key and offline if not. "off" publishes nothing.
    `project`, `entity`: where to; else `$WANDB_PROJECT` or "prunebench", and `$WANDB_ENTITY` or the key's own.
    `tickets`: whether each judged ticket's mask and weights go with its run.
    `live`: whether runs begin with the benchmark, and not only when its results are there.
    `patience`: seconds that the network may take to begin a run, and again to end it.
    """

    mode: Literal["auto", "online", "offline", "off"] = Field("auto", examples=["offline"])
    project: str | None = None
    entity: str | None = None
    tickets: bool = True
    patience: float = Field(120.0, gt=0)
    live: bool = True

    later = frozenset({"live"})


class Wandb:
    """Publishes the results below `wandb/` in the leaderboard's folder, through a client in a process of its own."""

    def __init__(self, config: WandbConfig) -> None:
        need("wandb")
        mode_of(config.mode, os.environ, api_key(os.environ))  # better known before the training than after it
        self._config = config
        self._stream: Stream | None = None

    @hookimpl
    def prunebench_track(self, event: Event, folder: Path) -> None:
        """Pass on what happens to the live runs; a lost network or client keeps nobody waiting."""
        if event.kind == "run-started":
            key = api_key(os.environ)
            mode = mode_of(self._config.mode, os.environ, key)
            if mode == "off" or not self._config.live:
                return
            self._end()
            own = folder / "wandb"
            own.mkdir(parents=True, exist_ok=True)
            clear(own)
            project, entity = place_of(self._config)
            place = {"project": project, "entity": entity, "group": str(event.fields["benchmark"])[:GROUP]}
            patience = self._config.patience
            self._stream = Stream(
                event.fields,
                folder.resolve(),
                place,
                settings_of(mode, patience),
                environment_of(own.resolve(), key if mode == "online" else None),
                patience,
            )
        if self._stream is not None:
            self._stream.take(event)
            if event.kind in ("run-finished", "run-stopping"):
                self._end()

    def _end(self) -> None:
        if self._stream is not None:
            self._stream.end()
            self._stream = None

    @hookimpl
    def prunebench_report(self, results: Results, board: Board, folder: Path) -> None:
        """Publish what is new. A lost network is told and not an error.

        Raises:
            PrunebenchError: the runs could not even be written offline.
        """
        key = api_key(os.environ)
        mode = mode_of(self._config.mode, os.environ, key)
        if mode == "off":
            return
        project, entity = place_of(self._config)
        own = folder / "wandb"
        if (folder / "log" / "wandb").is_dir():
            clear(folder / "log" / "wandb")  # what is published now has all of it
        own.mkdir(exist_ok=True)
        (own / ".gitignore").write_text("*\n", encoding="utf-8")
        publisher = _Publisher(results, own.resolve(), self._config, key if mode == "online" else None)
        publisher.publish([run for run in runs_of(results, board, project, entity) if publisher.is_new(run)])


def place_of(config: WandbConfig) -> tuple[str, str | None]:
    """The project and the entity of the runs."""
    project = config.project or os.environ.get("WANDB_PROJECT") or "prunebench"
    return project, config.entity or os.environ.get("WANDB_ENTITY") or None


def settings_of(mode: str, patience: float) -> dict[str, Any]:
    """Of the client, beside those that keep it quiet."""
    return {"mode": mode, "init_timeout": patience, "finish_timeout": patience if mode == "online" else 0.0}


def mode_of(asked: str, environ: Mapping[str, str], key: str | None) -> str:
    """One of "online", "offline" and "off". Raises Unavailable where there is no key for online."""
    if asked == "auto":
        told = environ.get("WANDB_MODE", "")
        known = {"online": "online", "run": "online", "offline": "offline", "dryrun": "offline", "disabled": "off"}
        asked = known.get(told, "online" if key else "offline")
    if asked == "online" and not key:
        raise Unavailable(
            'mode is "online", and there is no key: run `wandb login`, set WANDB_API_KEY, or write mode = "offline"'
        )
    return asked


def api_key(environ: Mapping[str, str]) -> str | None:
    """The key that the environment or the netrc file has for the server; None if neither has one."""
    if environ.get("WANDB_API_KEY"):
        return environ["WANDB_API_KEY"]
    host = urlsplit(environ.get("WANDB_BASE_URL") or PUBLIC).hostname or ""
    home = Path(environ.get("HOME") or Path.home())
    for path in (Path(environ["NETRC"]),) if "NETRC" in environ else (home / ".netrc", home / "_netrc"):
        try:
            found = netrc.netrc(path.expanduser()).authenticators(host)
        except (OSError, netrc.NetrcParseError):
            continue
        if found is not None and found[2]:
            return found[2]
    return None


class _Publisher:
    """Publishes the runs of one report; `key` is None offline."""

    def __init__(self, results: Results, own: Path, config: WandbConfig, key: str | None) -> None:
        self.results, self.own, self.config, self.key = results, own, config, key
        self.published = Published(own)

    def is_new(self, run: Run) -> bool:
        """Whether publishing it would change anything."""
        entry = self.published.runs.get(run.id)
        if entry is None or entry.digest != run.digest:
            return True
        if self._has_tickets(run) and not entry.tickets:
            return True
        # An offline copy is put online if it can be whole; without the store, `wandb sync` does it better.
        waits = self.key is not None and not self.published.is_synced(run.id)
        return waits and (self._has_tickets(run) or not entry.tickets)

    def publish(self, runs: Sequence[Run]) -> None:
        """Online as far as the network lasts, offline from there on."""
        left = list(runs)
        if left and self.key is not None:
            lost = self._hand_over(left, "online")
            if lost is not None:
                _say(f"W&B was not reached: {lost.replace(self.key, '***')}")
        if left:
            error = self._hand_over(left, "offline")
            if error is not None:
                raise PrunebenchError(f"wandb: {len(left)} runs could not be written below {self.own}: {error}")
        waiting = self.published.unsynced()
        if waiting:
            which = waiting[0] if len(waiting) == 1 else self.own / "offline-run-*"
            _say(f"W&B: kept here, not yet published: {len(waiting)} of the runs. To publish: wandb sync {which}")
        elif runs:
            _say(f"W&B: published {len(runs)} of the runs.")

    def _has_tickets(self, run: Run) -> bool:
        return self.config.tickets and self.results.artifact is not None and bool(run.tickets)

    def _hand_over(self, left: list[Run], mode: Literal["online", "offline"]) -> str | None:
        """Publish in order, taking what is done off the list. Returns what stopped it, or None at the end."""
        for run in left:
            self.published.clear(run.id)
        with tempfile.TemporaryDirectory(prefix="prunebench-wandb-") as private:
            job = Path(private) / "job.json"
            job.write_text(json.dumps(self._job(left, mode)), encoding="utf-8")
            by_id = {run.id: run for run in left}
            own = Path(private)
            environment = {
                **environment_of(self.own, self.key if mode == "online" else None),
                "HOME": private,
                "TMPDIR": private,
                "WANDB_CACHE_DIR": str(own / "cache"),
                "WANDB_CONFIG_DIR": str(own / "config"),
            }
            with _client(job, environment) as (lines, last_words):
                for line in lines:
                    told = json.loads(line)
                    if "error" in told:
                        self.published.clear(told["id"])
                        return str(told["error"])
                    run = by_id[told["id"]]
                    entry = Entry(run.content["name"], run.digest, mode, told["folder"], self._has_tickets(run))
                    self.published.add(run.id, entry)
                    left.remove(run)
                return None if not left else last_words()

    def _job(self, runs: Sequence[Run], mode: str) -> dict[str, Any]:
        patience = self.config.patience
        settings = settings_of(mode, patience)
        described = [
            {**run.content, "pictures": self._pictures(run), "artifacts": self._artifacts(run)} for run in runs
        ]
        return {"root": str(self.own.parent), "settings": settings, "patience": patience, "runs": described}

    def _pictures(self, run: Run) -> dict[str, str]:
        found = dict(run.content["pictures"])
        curves = self.own.parent / "curves.svg"
        if run.content["job_type"] == "leaderboard" and curves.exists():
            found["curves"] = curves.read_text(encoding="utf-8")
        return found

    def _artifacts(self, run: Run) -> list[dict[str, Any]]:
        if run.content["job_type"] == "leaderboard":
            folder = self.own.parent
            files = {p.relative_to(folder).as_posix(): str(p) for p in leaderboard_files(folder, self.own)}
            # Copied: these files are written again by every report, and are synced who knows when.
            shape = {"type": "leaderboard", "metadata": {}, "policy": "mutable"}
            return [{"name": f"leaderboard-{run.id}", **shape, "files": files}]
        if not self._has_tickets(run):
            return []
        described = []
        for ticket in run.tickets:
            paths = {f"{part}.safetensors": self._file(a, part) for part, a in ticket.addresses.items()}
            files = {name: str(path) for name, path in paths.items() if path is not None}
            shape = {"type": "ticket", "metadata": dict(ticket.metadata), "policy": "immutable"}
            if files:
                described.append({"name": ticket.name, **shape, "files": files})
        return described

    def _file(self, address: str, part: str) -> Path | None:
        """A file of the store beside the runs, once however many tickets share it; None where a phase failed."""
        path = self.own / "tickets" / f"{address}.{part}.safetensors"
        if not path.exists():
            assert self.results.artifact is not None
            try:
                content = self.results.artifact(address).get(f"{part}.safetensors")
            except LostArtifact:
                return None
            if content is None:  # it diverged
                return None
            path.parent.mkdir(exist_ok=True)
            beside = path.with_suffix(".new")
            beside.write_bytes(content)
            beside.replace(path)
        return path


def environment_of(own: Path, key: str | None) -> dict[str, str]:
    """What the client's process sees of the environment, but for folders of its own; `key` is None offline."""
    environment = {name: os.environ[name] for name in INTERPRETER if name in os.environ}
    environment |= {
        "PYTHONUSERBASE": site.getuserbase(),
        "WANDB_CONSOLE": "off",
        # Tables lie here until they are synced.
        "WANDB_DATA_DIR": str(own / "data"),
        "WANDB_ERROR_REPORTING": "false",
    }
    if key is not None:
        for name in NETWORK:
            environment |= {n: os.environ[n] for n in (name, name.lower()) if n in os.environ}
        environment |= {
            "WANDB_API_KEY": key,
            "WANDB_BASE_URL": os.environ.get("WANDB_BASE_URL") or PUBLIC,
        }
    return environment


@contextmanager
def _client(job: Path, environment: Mapping[str, str]) -> Iterator[tuple[Iterator[str], Callable[[], str]]]:
    """A process that carries out a job: the lines that it tells, and what it said last if they are too few."""
    # -P: the folder of that file is not for importing from; it has a `tensorboard` of its own.
    command = [sys.executable, "-P", _wandb_client.__file__, str(job)]
    with (
        tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors,
        subprocess.Popen(
            command,
            env=dict(environment),
            cwd=job.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            encoding="utf-8",
        ) as process,
    ):
        assert process.stdout is not None

        def last_words() -> str:
            code = process.wait()
            errors.seek(0)
            lines = errors.read().strip().splitlines()
            return f"the client ended with exit code {code}" + (f": {lines[-1]}" if lines else "")

        yield process.stdout, last_words


def _say(message: str) -> None:
    print(message, file=sys.stderr)  # standard output may be for a program to read


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `wandb`."""
    yield Component("wandb", WandbConfig, Wandb, version=1)
