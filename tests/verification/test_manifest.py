import json
import random
from pathlib import Path

import pytest

from prunebench import PrunebenchError
from prunebench.api import keys
from prunebench.results.manifest import check_manifest, read_manifest
from prunebench.results.writing import seal


def test_a_leaderboard_as_it_was_written_has_nothing_to_tell(board: Path) -> None:
    assert check_manifest(board) == []


def test_every_file_that_is_committed_is_listed(board: Path) -> None:
    listed = set(json.loads((board / "manifest.json").read_text())["files"])
    there = {path.name for path in board.iterdir() if path.is_file()}
    assert there - listed == {"manifest.json", "index.html"}
    assert {"results.jsonl", "details.jsonl", "provenance.json", "rules.md", "README.md", "curves.svg"} <= listed


def test_a_thousand_random_edits_drops_and_reorders_are_all_found(board: Path) -> None:
    draw = random.Random(0)
    path = board / "results.jsonl"
    whole = path.read_bytes()
    lines = whole.splitlines(keepends=True)
    for _ in range(1_000):
        edited = whole
        while edited == whole:
            how = draw.choice(["flip", "drop", "swap", "truncate", "double"])
            if how == "flip":
                place = draw.randrange(len(whole))
                edited = whole[:place] + bytes([whole[place] ^ (1 << draw.randrange(8))]) + whole[place + 1 :]
            elif how == "drop":
                place = draw.randrange(len(lines))
                edited = b"".join(lines[:place] + lines[place + 1 :])
            elif how == "swap":
                a, b = draw.sample(range(len(lines)), 2)
                swapped = list(lines)
                swapped[a], swapped[b] = swapped[b], swapped[a]
                edited = b"".join(swapped)
            elif how == "truncate":
                edited = whole[: draw.randrange(len(whole))]
            else:
                place = draw.randrange(len(lines))
                edited = b"".join([*lines[: place + 1], *lines[place:]])
        path.write_bytes(edited)
        assert check_manifest(board) == ["results.jsonl was edited: its sha256 is not the manifest's"]
    path.write_bytes(whole)
    assert check_manifest(board) == []


def test_any_edit_of_the_manifest_itself_is_found(board: Path) -> None:
    draw = random.Random(1)
    path = board / "manifest.json"
    whole = path.read_bytes()
    for _ in range(200):
        place = draw.randrange(len(whole))
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << draw.randrange(8))]) + whole[place + 1 :])
        assert check_manifest(board)


def test_a_missing_file_is_named(board: Path) -> None:
    (board / "details.jsonl").unlink()
    assert check_manifest(board) == ["details.jsonl is missing"]


def test_a_folder_without_a_manifest_is_not_a_leaderboard(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="not a leaderboard"):
        check_manifest(tmp_path)


def test_the_page_and_the_record_of_a_verification_may_come_later(board: Path) -> None:
    (board / "index.html").write_text("made again at will")
    (board / "verification.json").write_text("{}")
    assert check_manifest(board) == []
    seal(board)
    assert "index.html" not in read_manifest(board).files


def test_the_manifest_states_its_own_digest(board: Path) -> None:
    manifest = json.loads((board / "manifest.json").read_text())
    assert manifest["sha256"] == keys.digest({"schema": 1, "files": manifest["files"]})
