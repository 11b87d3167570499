"""Folders of a stranger: whatever stands in their files, a command says so in a sentence."""

import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from prunebench import PrunebenchError
from prunebench.leaderboard import board_of
from prunebench.results.folder import read_results
from prunebench.results.manifest import check_manifest, foreign_files
from prunebench.results.verification import record_of
from prunebench.results.writing import seal
from prunebench.runner.publishing import _write
from prunebench.testing import toy_results
from prunebench.verification.audit import contradictions
from prunebench.verification.source import benchmark_file

FILES = ("provenance.json", "results.jsonl", "details.jsonl", "manifest.json", "verification.json")
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 7, 1.5, -0.0, 10**30, 1e308, "", "x", "x" * 5_000, "\0", "\x1b[31m", "\u202e", "../x", "/etc"),
    *([], [[]], [None], {}, {"": {}}, {"use": 7}, [0] * 50, ["x", 1], "NaN", "9" * 5_000 + "it", "test/loss", "2ep"),
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made") / "board"
    _write(folder, toy_results(), (), print)
    record = {
        **{"when": "2026-01-01", "hardware": {}, "environment": {}, "bit_equal": True, "entries": ["imp"]},
        **{"seeds": [0], "numbers": 1, "results": "0" * 64},
    }
    (folder / "verification.json").write_text(json.dumps(record))
    return folder


def places(value: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Where something stands in a JSON value."""
    yield at
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inside:
        yield from places(item, (*at, key))


def mutated(text: str, chance: random.Random) -> str:
    """A JSON text with one value replaced, removed, added or renamed."""
    value = json.loads(text)
    at = chance.choice([place for place in places(value) if place])
    holder = value
    for key in at[:-1]:
        holder = holder[key]
    how = chance.choice(["replace", "replace", "replace", "remove", "rename", "add"])
    new = chance.choice(VALUES)
    if how == "replace" or isinstance(holder, list):
        holder[at[-1]] = new
    elif how == "remove":
        del holder[at[-1]]
    elif how == "rename":
        holder[f"{at[-1]}s"] = holder.pop(at[-1])
    else:
        holder[chance.choice(["more", "", "\0", "schema"])] = new
    return json.dumps(value)


def broken(text: str, chance: random.Random) -> bytes:
    """Bytes of a text that are cut, flipped, doubled or nested."""
    content = text.encode()
    place = chance.randrange(len(content))
    return chance.choice(
        [
            content[:place],
            content[:place] + bytes([chance.randrange(256)]) + content[place + 1 :],
            content + content,
            b"[" * 10_000,
            b"",
            b"\xff\xfe" + content,
            content.replace(b'"', b"", 1),
            content.replace(b":", b":1e999,", 1),
        ]
    )


def read(folder: Path) -> None:
    """Everything that reads a folder before it trains or draws; only errors that are sentences leave it."""
    for look in (check_manifest, foreign_files, lambda folder: record_of(folder, toy_results())):
        sentences(lambda look=look: look(folder))  # type: ignore[misc]
    sentences(lambda: seal(folder))  # a forger makes the digests fit
    sentences(lambda: examine(folder))


def examine(folder: Path) -> None:
    results = read_results(folder)
    list(contradictions(results))
    board_of(results)
    benchmark_file(folder, results.provenance)


def sentences(work: Callable[[], object]) -> None:
    """Do something that may end with an error of ours, of a readable length, and with no other."""
    error = ""
    try:
        work()
    except PrunebenchError as raised:
        error = str(raised)
    assert len(error) < 20_000


@pytest.mark.parametrize("seed", range(20))
def test_no_malformed_folder_gives_anything_but_a_sentence(made: Path, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    for attempt in range(45):
        folder = Path(shutil.copytree(made, tmp_path / str(attempt)))
        path = folder / chance.choice(FILES)
        text = path.read_text()
        lines = text.splitlines() if path.suffix == ".jsonl" else [text]
        place = chance.randrange(len(lines))
        if chance.random() < 0.8:
            lines[place] = mutated(lines[place], chance)
            path.write_text("\n".join(lines) + "\n")
        else:
            path.write_bytes(broken(text, chance))
        read(folder)
        shutil.rmtree(folder)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", ["fifo", "folder", "link", "missing", "endless"])
def test_what_is_no_file_is_a_sentence_and_never_waits(made: Path, tmp_path: Path, name: str, kind: str) -> None:
    folder = Path(shutil.copytree(made, tmp_path / "board"))
    path = folder / name
    path.unlink()
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind in ("link", "endless"):
        path.symlink_to("/dev/zero" if kind == "endless" else made / name)
    read(folder)
