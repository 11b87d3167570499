import hashlib
import json
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from prunebench import PrunebenchError
from prunebench.api.errors import ConfigError
from prunebench.commands.main import main
from prunebench.results.manifest import manifest_text, read_manifest, write_manifest
from prunebench.testing import toy_results
from prunebench.verification.submission import broken_rules, sources_of, submit

RULES = toy_results().provenance.model_copy(update={"seeds": (0, 1, 2)})


def test_a_submission_holds_what_a_maintainer_needs_to_verify_it(board: Path, tmp_path: Path) -> None:
    archive = submit(board, tmp_path / "out")
    unpacked = tmp_path / "unpacked"
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(unpacked)
    assert json.loads((unpacked / "versions.json").read_text())["torch"]
    file = unpacked / "benchmarks" / "small.toml"
    arguments = ["verify", str(unpacked / "small"), "--file", str(file), "--entries", "imp", "--seeds", "1"]
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == 0, done.output


def test_equal_leaderboards_give_equal_archives(board: Path, tmp_path: Path) -> None:
    first, second = submit(board, tmp_path / "a"), submit(board, tmp_path / "b")
    assert (first.name, first.read_bytes()) == (second.name, second.read_bytes())


def packed_names(archive: Path) -> set[str]:
    with zipfile.ZipFile(archive) as packed:
        return set(packed.namelist())


def test_files_that_the_benchmark_extends_come_along_as_they_lie_to_one_another(board: Path, tmp_path: Path) -> None:
    folder = tmp_path / "files"
    for name, text in {
        "a/small.toml": 'extends = "../b/small.toml"\nclaim = "a"\n',
        "b/small.toml": 'extends = "../small.toml"\nclaim = "b"\n',
        "small.toml": (tmp_path / "small.toml").read_text(),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    archive = submit(board, tmp_path / "out", folder / "a" / "small.toml")
    assert {"benchmarks/a/small.toml", "benchmarks/b/small.toml", "benchmarks/small.toml"} <= packed_names(archive)
    with zipfile.ZipFile(archive) as packed:
        packed.extractall(tmp_path / "unpacked")
    assert sources_of(tmp_path / "unpacked" / "benchmarks" / "a" / "small.toml") == sources_of(
        folder / "a" / "small.toml"
    )


def forge_manifest(board: Path, name: str, digest: str) -> None:
    files = dict(read_manifest(board).files)
    (board / "manifest.json").write_text(manifest_text({**files, name: digest}))


@pytest.mark.parametrize("name", ["../secret", "/etc/hostname", "a/../../secret", "..", "a//b", "x\n", "./README.md"])
def test_a_manifest_that_names_files_outside_is_refused(board: Path, tmp_path: Path, name: str) -> None:
    (tmp_path / "secret").write_text("key")
    forge_manifest(board, name, hashlib.sha256(b"key").hexdigest())
    with pytest.raises(PrunebenchError, match="which is no path below the leaderboard's folder"):
        submit(board, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("inside", [False, True])
def test_a_link_is_not_packed_wherever_it_points(board: Path, tmp_path: Path, inside: bool) -> None:
    (tmp_path / "secret").write_text("key")
    (board / "notes").mkdir()
    (board / "notes" / "key.txt").symlink_to(board / "README.md" if inside else tmp_path / "secret")
    forge_manifest(board, "notes/key.txt", hashlib.sha256(b"key").hexdigest())
    with pytest.raises(PrunebenchError, match=r"notes/key\.txt: cannot be read: it is a symbolic link"):
        submit(board, tmp_path / "out")


def test_a_folder_that_is_a_link_is_not_packed(board: Path, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "key").write_text("key")
    (board / "notes").symlink_to(tmp_path / "secrets")
    forge_manifest(board, "notes/key", hashlib.sha256(b"key").hexdigest())
    with pytest.raises(PrunebenchError, match="symbolic link"):
        submit(board, tmp_path / "out")


@pytest.mark.parametrize("name", ["../../x", "/etc/x", "a/b", "..", "", ".", "x" * 5000, "na\0me", "é\u202e", "-rf"])
def test_an_archive_lies_in_the_folder_for_it_whatever_the_benchmark_is_called(
    board: Path, tmp_path: Path, name: str
) -> None:
    provenance = json.loads((board / "provenance.json").read_text())
    provenance["report"]["name"] = name
    (board / "provenance.json").write_text(json.dumps(provenance))
    write_manifest(board)
    archive = submit(board, tmp_path / "out")
    assert archive.parent == tmp_path / "out"
    assert list((tmp_path / "out").iterdir()) == [archive]
    for member in packed_names(archive):
        assert ".." not in member.split("/")
        assert not member.startswith("/")


def test_what_extends_is_a_benchmark_file_or_nothing_is_packed(board: Path, tmp_path: Path) -> None:
    (tmp_path / "credentials.toml").write_text('[registry]\ntoken = "secret"\n')
    text = (tmp_path / "small.toml").read_text()
    (tmp_path / "small.toml").write_text('extends = "credentials.toml"\n' + text)
    with pytest.raises(ConfigError, match="registry"):
        submit(board, tmp_path / "out")
    (tmp_path / "small.toml").write_text('extends = "small.toml"\n' + text)
    with pytest.raises(ConfigError, match="circle"):
        submit(board, tmp_path / "out")


def test_no_folder_of_the_machine_stands_in_a_submission(made: Path, board: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(submit(board, tmp_path / "out")) as packed:
        contents = {name: packed.read(name) for name in packed.namelist()}
    contents["page"] = (board / "index.html").read_bytes()
    for name, content in contents.items():
        for place in (made.parent, tmp_path, Path.home()):
            assert str(place).encode() not in content, name


def test_an_edited_leaderboard_cannot_be_submitted(board: Path, tmp_path: Path) -> None:
    (board / "results.jsonl").write_text("")
    with pytest.raises(PrunebenchError, match="as they were recorded"):
        submit(board, tmp_path)


@pytest.mark.parametrize(
    ("change", "said"),
    [({"seeds": (0,)}, "at least 3"), ({"profile": "smoke"}, "full file"), ({"settings": ("rounds=1",)}, "--set")],
)
def test_what_breaks_a_rule_is_told(change: dict[str, object], said: str) -> None:
    assert not broken_rules(RULES)
    (sentence,) = broken_rules(RULES.model_copy(update=change))
    assert said in sentence
