"""A zoo is the same in a folder, in a bucket and on the hub."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from runner.hub_server import Hub, hub
from runner.test_zoo import FILE

from prunebench.api.errors import PrunebenchError
from prunebench.runner import Options, prepare, run
from prunebench.runner.zoo.places import FolderPlace, zoo_place
from prunebench.runner.zoo.pull import pull, tickets_of
from prunebench.runner.zoo.push import push
from prunebench.testing import toy_catalogue


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study whose results are in a store, and its tickets in a folder."""
    folder = tmp_path_factory.mktemp("zoo-places")
    (folder / "toy.toml").write_text(FILE)
    prepared = prepare(Options(folder / "toy.toml", store=folder / "store"), toy_catalogue())
    assert run(prepared, catalogue=toy_catalogue()).broken == {}
    push(prepared, zoo_place(str(folder / "zoo")), "zoo")
    return folder


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


# A bucket.


def test_tickets_go_into_a_bucket_and_come_out_to_the_byte(home: Path, bucket: str, tmp_path: Path) -> None:
    prepared = prepare(Options(home / "toy.toml", store=home / "store"), toy_catalogue())
    push(prepared, zoo_place(bucket), "zoo")
    assert tickets_of(bucket)[1] == tickets_of(str(home / "zoo"))[1]
    pull(bucket, tmp_path / "mine")
    theirs = files_of(home / "zoo")
    assert {name: theirs[name] for name in files_of(tmp_path / "mine")} == files_of(tmp_path / "mine")
    push(prepared, zoo_place(bucket), "zoo")  # again: the same tickets, each once
    assert tickets_of(bucket)[1] == tickets_of(str(home / "zoo"))[1]


def test_a_bucket_without_a_zoo_says_so(bucket: str) -> None:
    with pytest.raises(PrunebenchError, match="zoo"):
        tickets_of(bucket)


# The hub. Its client reads its address while it is imported: in a process of its own.

PUSH = """
import sys
from pathlib import Path
from prunebench.runner import Options, prepare
from prunebench.runner.zoo.places import zoo_place
from prunebench.runner.zoo.push import push
from prunebench.testing import toy_catalogue
home = Path(sys.argv[1])
push(prepare(Options(home / "toy.toml", store=home / "store"), toy_catalogue()), zoo_place(sys.argv[2]), "zoo")
"""


@pytest.fixture
def address() -> Iterator[str]:
    pytest.importorskip("huggingface_hub")
    with hub() as address:
        yield address


def python(address: str, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HTTP", "http", "ALL_PROXY"))}
    environment |= {"HF_ENDPOINT": address, "HF_HOME": str(cache), "HF_TOKEN": "hf_of_a_test"}
    environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "127.0.0.1"}
    return subprocess.run([sys.executable, *arguments], env=environment, capture_output=True, text=True)


def prunebench(address: str, cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return python(address, cache, "-c", "from prunebench.commands.main import main; main()", *arguments)


def test_tickets_go_to_the_hub_and_come_back_to_the_byte(home: Path, address: str, tmp_path: Path) -> None:
    pushed = python(address, tmp_path / "cache", "-c", PUSH, str(home), "hf://team/tickets")
    assert pushed.returncode == 0, pushed.stderr
    theirs = files_of(home / "zoo")
    assert Hub.repositories["team/tickets"]["main"] == theirs
    assert Hub.tokens == {"Bearer hf_of_a_test"}
    answer = prunebench(address, tmp_path / "cache", "zoo", "pull", "hf://team/tickets", "--to", str(tmp_path / "mine"))
    assert answer.returncode == 0, answer.stderr
    mine = files_of(tmp_path / "mine")
    assert {name: theirs[name] for name in mine} == mine
    assert any(name.endswith(".safetensors") for name in mine)


def test_a_revision_of_the_hub_stays_as_it_was(home: Path, address: str, tmp_path: Path) -> None:
    assert python(address, tmp_path / "cache", "-c", PUSH, str(home), "hf://team/tickets").returncode == 0
    commits = Hub.repositories["team/tickets"]
    last = next(oid for oid, files in commits.items() if oid != "main" and files == commits["main"])
    commits["main"] = commits["0" * 40] = {"zoo.json": b"{}"}
    place = f"hf://team/tickets@{last}"
    answer = prunebench(address, tmp_path / "cache", "zoo", "pull", place, "--to", str(tmp_path / "mine"))
    assert answer.returncode == 0, answer.stderr
    assert files_of(tmp_path / "mine")


def test_without_a_network_what_was_read_before_is_read_again_and_the_rest_is_an_error(
    home: Path, address: str, tmp_path: Path
) -> None:
    assert python(address, tmp_path / "cache", "-c", PUSH, str(home), "hf://team/tickets").returncode == 0
    pulled = ("zoo", "pull", "hf://team/tickets", "--to")
    assert prunebench(address, tmp_path / "cache", *pulled, str(tmp_path / "one")).returncode == 0
    nobody = "http://127.0.0.1:9"
    again = prunebench(nobody, tmp_path / "cache", *pulled, str(tmp_path / "two"))
    assert again.returncode == 0, again.stderr
    assert files_of(tmp_path / "one") == files_of(tmp_path / "two")
    fresh = prunebench(nobody, tmp_path / "empty", *pulled, str(tmp_path / "three"))
    assert fresh.returncode == 2
    assert "Without a network use a folder" in fresh.stderr
    assert "Traceback" not in fresh.stderr


def test_a_repository_that_is_not_there_is_named(address: str, tmp_path: Path) -> None:
    Hub.repositories["team/empty"] = {"main": {}}
    for place, why in {
        "hf://team/nothing": "hf://team/nothing: the hub has no such repository that you may read",
        "hf://team/empty@v1": "hf://team/empty@v1: the repository has no such revision",
        "hf://team/empty": "hf://team/empty: ",
    }.items():
        answer = prunebench(address, tmp_path, "zoo", "pull", place, "--to", str(tmp_path / "mine"))
        assert answer.returncode == 2
        assert why in answer.stderr
        assert "Traceback" not in answer.stderr
    with pytest.raises(PrunebenchError, match="a repository is called hf://OWNER/NAME"):
        zoo_place("hf://nothing")


def test_a_folder_is_what_no_scheme_names(tmp_path: Path) -> None:
    assert isinstance(zoo_place(str(tmp_path)), FolderPlace)
