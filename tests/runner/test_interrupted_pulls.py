"""Whatever stops a pull or a fetch: no half file is taken for whole, and the same command again mends it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

import pytest
from kill_points import full_disk_at_each, killed_at_each

from prunebench.api.downloads import Download
from prunebench.api.pretrained import Preprocessing, Pretrained
from prunebench.kernels.download import fetch
from prunebench.runner.published_weights import fetch_weights
from prunebench.runner.zoo.index import INDEX, MOST_INDEX, ZooFile, ZooIndex, ZooTicket, read_index
from prunebench.runner.zoo.places import FolderPlace
from prunebench.runner.zoo.pull import pull
from prunebench.store.contents import contents_of
from prunebench.store.environment import Environment
from prunebench.store.store import Store
from prunebench.store.transfer import transfer

FILES = ("weights.safetensors", "mask.safetensors")


def files_below(folder: Path) -> Mapping[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def zoo(folder: Path, version: str) -> Path:
    """Two tickets of two files."""
    place, tickets = FolderPlace(folder), []
    for name in ("a", "b"):
        content = {file: f"{version} {name} {file}".encode() * 20 for file in FILES}
        place.write({f"{name}/{file}": data for file, data in content.items()})
        tickets.append(
            ZooTicket(
                path=name,
                benchmark="toy",
                entry=name,
                model="m",
                data="d",
                seed=0,
                round=0,
                draw=0,
                density=1.0,
                metric="test/accuracy",
                value=None,
                key="0" * 64,
                environment="e",
                timm=None,
                files={
                    file: ZooFile(sha256=hashlib.sha256(data).hexdigest(), size=len(data))  # type: ignore[misc]
                    for file, data in content.items()
                },
            )
        )
    place.write({INDEX: ZooIndex(format=1, tickets=tickets).text()})
    return folder


def broken_tickets(folder: Path) -> list[str]:
    """Tickets that the index names and whose files are not those that it names."""
    place = FolderPlace(folder)
    data = place.read(INDEX, MOST_INDEX)
    found = []
    for ticket in read_index(data, "zoo").tickets if data is not None else ():
        for name, stated in ticket.files.items():
            data = place.read(f"{ticket.path}/{name}", 10_000)
            if data is None or hashlib.sha256(data).hexdigest() != stated.sha256:
                found.append(ticket.path)
    return found


def test_a_kill_of_a_pull_of_tickets_leaves_whole_ones(tmp_path: Path) -> None:
    source = zoo(tmp_path / "source", "new")
    pull(str(source), tmp_path / "whole")
    for step in killed_at_each(lambda step: pull(str(source), tmp_path / f"{step}")):
        folder = tmp_path / f"{step}"
        assert broken_tickets(folder) == []
        pull(str(source), folder)
        assert files_below(folder) == files_below(tmp_path / "whole")
    assert step > 20


def test_a_disk_that_is_full_leaves_the_tickets_that_were_there(tmp_path: Path) -> None:
    source = zoo(tmp_path / "source", "new")
    zoo(tmp_path / "0", "old")
    for step in full_disk_at_each(lambda step: pull(str(source), tmp_path / f"{step}", entry="a")):
        left = [name for name in files_below(tmp_path / f"{step}") if name.endswith((".aside", ".new"))]
        assert left == []
        pull(str(source), tmp_path / f"{step}")
        assert broken_tickets(tmp_path / f"{step}") == []
        zoo(tmp_path / f"{step + 1}", "old")


def published(content: bytes) -> Pretrained:
    def into(root: Path) -> str:
        file = root / "weights" / "net.safetensors"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        return "hub@1"

    seen = Preprocessing(8, 8, "center", (0.5,), (0.5,), "bilinear")
    return Pretrained("net", "weights/net.safetensors", "somewhere", 10, (), seen, into)


def test_a_kill_of_a_fetch_of_weights_leaves_none_or_whole_ones_with_their_origin(tmp_path: Path) -> None:
    wanted = published(b"tensors" * 100)
    for step in killed_at_each(lambda step: fetch_weights(wanted, tmp_path / f"{step}")):
        root = tmp_path / f"{step}"
        found = fetch_weights(wanted, root)
        assert (found.origin, found.digest) == ("hub@1", hashlib.sha256(b"tensors" * 100).hexdigest())
        assert set(files_below(root)) == {"weights/net.safetensors", "weights/net.safetensors.json"}
    assert step > 5


def test_a_disk_that_is_full_leaves_no_weights(tmp_path: Path) -> None:
    wanted = published(b"tensors" * 100)
    for step in full_disk_at_each(lambda step: fetch_weights(wanted, tmp_path / f"{step}")):
        assert set(files_below(tmp_path / f"{step}")) <= {"weights/net.safetensors", "weights/net.safetensors.json"}
        assert fetch_weights(wanted, tmp_path / f"{step}").origin == "hub@1"


def test_a_kill_of_a_fetch_of_data_leaves_what_the_next_goes_on_with(tmp_path: Path) -> None:
    content = os.urandom(200_000)
    (tmp_path / "publisher").write_bytes(content)
    url, checksum = (tmp_path / "publisher").as_uri(), f"sha256:{hashlib.sha256(content).hexdigest()}"

    def wanted(step: int) -> Download:
        return Download((url,), checksum, tmp_path / f"{step}" / "file.gz")

    for step in killed_at_each(lambda step: fetch(wanted(step))):
        place = wanted(step).path
        assert not place.exists() or place.read_bytes() == content
        fetch(wanted(step))
        assert files_below(place.parent) == {"file.gz": content}


def test_the_part_of_a_fetch_that_was_killed_is_given_to_the_next(tmp_path: Path) -> None:
    content = b"0123456789" * 100
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    left = tmp_path / f"file.gz.{checksum[7:15]}.0123abcd.part"
    left.write_bytes(content[:300])
    (tmp_path / "publisher").write_bytes(content)
    told: list[int] = []
    fetch(Download(((tmp_path / "publisher").as_uri(),), checksum, tmp_path / "file.gz"), told.append)
    assert told[0] == 300
    assert (tmp_path / "file.gz").read_bytes() == content
    assert not left.exists()


@pytest.fixture
def source(tmp_path: Path) -> Store:
    store = Store(tmp_path / "source", environment=Environment({"for": "test"}))
    for name in ("a", "b"):
        store.put(hashlib.sha256(name.encode()).hexdigest(), {"one": name.encode() * 50, "two": b"2"}, {}, [])
    return store


def test_a_kill_of_a_pull_of_a_store_leaves_whole_artifacts(source: Store, tmp_path: Path) -> None:
    def target(step: int) -> Store:
        return Store(tmp_path / f"{step}", environment=Environment({"for": "test"}))

    def copied(step: int) -> None:
        transfer(contents_of(source.backend).copies, source, target(step))

    addresses = [copy.address for copy in contents_of(source.backend).copies]
    for step in killed_at_each(copied):
        store = target(step)
        for address in addresses:
            if store.has(address):
                assert store.get(address).files == source.get(address).files
        assert all(sound for _, sound in store.scan())
        copied(step)
        assert sorted(store.scan()) == sorted((address, True) for address in addresses)
        left = files_below(tmp_path / f"{step}" / "objects")
        assert not [name for name in left if name.endswith((".tmp", ".bad"))]
    assert step > 20


def test_a_disk_that_is_full_ends_a_pull_of_a_store_in_a_sentence(source: Store, tmp_path: Path) -> None:
    def copied(step: int) -> None:
        target = Store(tmp_path / f"{step}", environment=Environment({"for": "test"}))
        transfer(contents_of(source.backend).copies, source, target)

    for step in full_disk_at_each(copied):
        copied(step)
        assert len(list(Store(tmp_path / f"{step}", environment=Environment({"for": "test"})).scan())) == 2
