"""A benchmark file in Python: read, planned, run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from prunebench import runner
from prunebench.api.errors import ConfigError
from prunebench.components.catalogue import Catalogue
from prunebench.library.leaderboard import Leaderboard
from prunebench.runner import Options, Prepared, Status
from prunebench.store.places import place_of

if TYPE_CHECKING:
    from rich.console import Console

Value = bool | int | float | str | Sequence[object]


@dataclass(frozen=True, eq=False)
class Experiment:
    """A benchmark file that has been read, checked and planned; nothing has trained yet."""

    prepared: Prepared
    catalogue: Catalogue | None = None

    @property
    def name(self) -> str:
        """The benchmark's name: the file's, without its ending."""
        return self.prepared.benchmark.name

    @property
    def entries(self) -> tuple[str, ...]:
        """The names of the entries that are scored."""
        return tuple(entry.name for entry in self.prepared.benchmark.entries)

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that every entry runs with."""
        return tuple(self.prepared.benchmark.seeds)

    def plan(self) -> Status:
        """How much work the file is, and how much of it the store has; nothing is trained."""
        return runner.status(self.prepared, self.prepared.open_store())

    def run(self, out: str | Path | None = None, *, progress: bool = True) -> Leaderboard:
        """Train what is missing and read the results off.

        A second call, or the same after an interruption, goes on from the store.

        Args:
            out: a folder for the leaderboard, as `prunebench run` writes it; without it nothing is written but the
                store.
            progress: whether to show it on standard error, or below the cell of a notebook.
        Returns: the results, with the trials that failed in `failed`.
        Raises:
            StoreError: the store cannot be written.
            WorkerError: no worker gets going.
            InterruptedRunError: on Ctrl-C; what was done is stored.
            PrunebenchError: `out` cannot be written.
        """
        from prunebench.commands.terminal.progress import display

        before = self.plan()
        folder = None if out is None else Path(out)
        shown = display(_console(), self.prepared.plan, before.work) if progress else None
        try:
            outcome = runner.run(
                self.prepared,
                shown or (lambda event: None),
                before=before,
                folder=folder,
                catalogue=self.catalogue,
            )
        finally:
            if shown is not None:
                shown.close()
        if folder is not None:
            runner.write(self.prepared, outcome, folder)
        return Leaderboard(outcome.results, outcome.failed)

    def __repr__(self) -> str:
        entries, seeds = len(self.entries), len(self.seeds)
        return f"Experiment({self.name!r}: {entries} entries, {seeds} {'seed' if seeds == 1 else 'seeds'})"


def load(
    file: str | Path,
    *,
    profile: str | None = None,
    seeds: Sequence[int] | None = None,
    only: Sequence[str] = (),
    settings: Mapping[str, Value] | None = None,
    store: str | Path | None = None,
    reuse: Literal["same", "any"] = "same",
    catalogue: Catalogue | None = None,
) -> Experiment:
    """Read, check and plan a benchmark file.

    Args:
        file: its path.
        profile: a `[profile.NAME]` to lay over it.
        seeds, only: in place of the file's seeds and entries.
        settings: other values for keys of the file, by their path: {"train.horizon": "2ep"}.
        store: where artifacts are kept, a folder or an object store's URL; `$PRUNEBENCH_STORE` or the user's cache by
            default.
        reuse: artifacts of the same environment only, or of any.
        catalogue: where components come from; what is installed by default.
    Raises:
        ConfigError: with every error of the file.
    Example:
        >>> import prunebench
        >>> experiment = prunebench.load("benchmarks/quickstart.toml", seeds=[0])  # doctest: +SKIP
        >>> experiment.run().to_pandas().groupby("entry")["value"].max()  # doctest: +SKIP
    """
    options = Options(
        Path(file),
        profile,
        None if seeds is None else tuple(seeds),
        tuple(only),
        tuple(f"{key}={_toml(key, value)}" for key, value in (settings or {}).items()),
        None if store is None else place_of(str(store)),
        reuse,
    )
    return Experiment(runner.prepare(options, catalogue), catalogue)


def _toml(key: str, value: Value) -> str:
    """A value as the command line takes it. JSON's text, numbers and lists are TOML's too."""
    try:
        return json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        raise ConfigError([f"settings: {key}: {value!r} is no text, number, truth value or list"]) from None


def _console() -> Console:
    from rich.console import Console

    return Console(stderr=not Console().is_jupyter, highlight=False)
