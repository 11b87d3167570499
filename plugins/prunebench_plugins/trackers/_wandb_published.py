"""What was published already: a file beside the runs, since the client has no memory of its own."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

from prunebench import PrunebenchError

FILE = "published.json"


@dataclass(frozen=True)
class Entry:
    """One published run: the digest of its content, how, in which folder, and whether its tickets went with it."""

    name: str
    digest: str
    mode: str
    folder: str
    tickets: bool


class Published:
    """The runs below a folder of W&B run folders, by id."""

    def __init__(self, own: Path) -> None:
        """Read the file. Raises PrunebenchError if it is damaged."""
        self.own = own
        self.runs: dict[str, Entry] = {}
        try:
            text = (own / FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return
        try:
            self.runs = {id: Entry(**entry) for id, entry in json.loads(text)["runs"].items()}
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise PrunebenchError(
                f"{own / FILE}: damaged ({error}). It says what was published: restore it, or remove {own} "
                "to publish everything again"
            ) from error

    def add(self, id: str, entry: Entry) -> None:
        """Remember a run; it is in the file when this returns, and the file is never half written."""
        self.runs[id] = entry
        told = {"runs": {id: asdict(entry) for id, entry in self.runs.items()}}
        beside = self.own / f"{FILE}.new"
        beside.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        beside.replace(self.own / FILE)

    def is_synced(self, id: str) -> bool:
        """Whether the run is on the server: published online, or synced since."""
        entry = self.runs[id]
        return entry.mode == "online" or (self.own / entry.folder / f"run-{id}.wandb.synced").exists()

    def unsynced(self) -> list[Path]:
        """The folders of runs that are only here."""
        folders = (self.own / entry.folder for id, entry in self.runs.items() if not self.is_synced(id))
        return [folder for folder in folders if folder.is_dir()]

    def clear(self, id: str) -> None:
        """Remove what is left of a run that is published anew: syncing would upload it as well."""
        for folder in (*self.own.glob(f"offline-run-*-{id}"), *self.own.glob(f"run-*-{id}")):
            if not (folder / f"run-{id}.wandb.synced").exists():
                shutil.rmtree(folder)
