"""Tickets go into a zoo and come out as they were judged; a stranger's zoo is checked before anything of it is used."""

from __future__ import annotations

import hashlib
import json
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import timm
import torch
from hypothesis import given
from hypothesis import strategies as st

import prunebench
from prunebench.api.errors import PrunebenchError
from prunebench.runner import Options, prepare, run, write
from prunebench.runner.zoo.index import checked_path
from prunebench.runner.zoo.places import zoo_place
from prunebench.runner.zoo.pull import pull, tickets_of
from prunebench.runner.zoo.push import push, rounds_at
from prunebench.testing import toy_catalogue

FILE = """
schema = 1
seeds = [0]
cut = 0.2
rounds = 2
data = "toy-data"
model = { use = "timm", name = "lenet_300_100", args = { widths = [6, 5] } }
train = { horizon = "16it", batch = 8, optimizer = { use = "sgd", lr = 0.1 } }
execution = { workers = 0, device = "cpu", keep = "judged" }

[[entry]]
name = "dense"

[[entry]]
name = "imp | shared"
schedule = "rewind"
score = "magnitude"
select = "global"
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("zoo")
    (folder / "toy.toml").write_text(FILE)
    prepared = prepare(Options(folder / "toy.toml", store=folder / "store"), toy_catalogue())
    outcome = run(prepared, catalogue=toy_catalogue())
    assert outcome.broken == {}
    write(prepared, outcome, folder / "board")
    done = push(prepared, zoo_place(str(folder / "board" / "zoo")), "zoo")
    assert done.absent == ()
    assert len(done.tickets) == 3
    (densest,) = rounds_at(prepared, ["0.64"])
    assert densest == 2
    return folder


ENTRY = "imp | shared"


def test_a_ticket_is_loaded_by_the_boards_names_and_gives_the_recorded_number(home: Path) -> None:
    ticket = prunebench.load_ticket(home / "board", ENTRY, 0.64, 0)
    (row,) = [
        row
        for row in prunebench.load_results(home / "board").rows
        if (row.entry, row.round, row.split, row.metric, row.position) == (ENTRY, 2, "test", "accuracy", "16it")
    ]
    assert (ticket.about.value, ticket.about.key, ticket.about.density) == (row.value, row.key, row.density)
    kept = sum(int(keep.sum()) for keep in ticket.mask.values())
    assert kept / sum(keep.numel() for keep in ticket.mask.values()) == row.density
    assert all(not bool(ticket.weights[name][~keep].any()) for name, keep in ticket.mask.items())
    assert not torch.equal(ticket.start["fc1.weight"], ticket.weights["fc1.weight"])
    assert 0 < int((ticket.weights["fc1.weight"] != 0).sum()) < ticket.weights["fc1.weight"].numel()


def test_the_cards_lines_load_it_into_plain_timm(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, (found,) = tickets_of(str(home / "board" / "zoo"), entry=ENTRY, round=2)
    folder = home / "board" / "zoo" / found.path
    text = (folder / "README.md").read_text()
    assert "imp \\| shared" in text
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(code.strip().splitlines()) <= 4
    monkeypatch.chdir(folder)
    names: dict[str, Any] = {}
    exec(code, names)
    images = torch.rand(4, 1, 2, 4)
    ours = prunebench.load_ticket(home / "board", ENTRY, "0.64", 0).model()
    with torch.no_grad():
        assert torch.equal(names["model"].eval()(images), ours(images))


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "tickets.md"


def test_the_pages_lines_load_a_ticket_with_prunebench_and_without(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, plain = re.findall(r"```py\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    here = ours.replace('"leaderboards/quickstart", "imp", 0.029', f'{str(home / "board")!r}, "{ENTRY}", 0.64')
    assert here != ours
    names: dict[str, Any] = {}
    exec(here, names)
    assert not names["network"].training
    network = timm.create_model("resnet18", num_classes=10, in_chans=3)
    safetensors.torch.save_file(network.state_dict(), tmp_path / "weights.safetensors")
    monkeypatch.chdir(tmp_path)
    exec(plain, names)
    assert torch.equal(names["model"].fc.weight, network.fc.weight)


def test_pulled_tickets_are_a_zoo_of_their_own(home: Path, tmp_path: Path) -> None:
    (ticket,) = pull(str(home / "board" / "zoo"), tmp_path / "mine", entry=ENTRY, density="0.64")
    pull(str(home / "board" / "zoo"), tmp_path / "mine", entry="dense")
    assert {one.entry for one in tickets_of(str(tmp_path / "mine"))[1]} == {ENTRY, "dense"}
    for name in ticket.files:
        mine, theirs = (root / ticket.path / name for root in (tmp_path / "mine", home / "board" / "zoo"))
        assert mine.read_bytes() == theirs.read_bytes()


def test_what_is_not_there_is_answered_with_what_is(home: Path, tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match=r"(?s)no such ticket; there are\n    .*density 0\.64"):
        prunebench.load_ticket(home / "board", ENTRY, 0.5, 0)
    with pytest.raises(PrunebenchError, match=r"prunebench zoo push FILE --to"):
        prunebench.load_ticket(tmp_path, ENTRY, 0.5, 0)


# A stranger's zoo.


@pytest.fixture
def hostile(home: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(home / "board" / "zoo", tmp_path / "zoo"))


def changed(zoo: Path, change: Callable[[dict[str, Any]], None]) -> None:
    index = json.loads((zoo / "index.json").read_text())
    change(index["tickets"][-1])
    (zoo / "index.json").write_text(json.dumps(index))


def loaded(zoo: Path) -> Any:
    return prunebench.load_ticket(zoo, ENTRY, 0.64, 0)


def with_file(zoo: Path, name: str, data: bytes) -> None:
    """Another content under a digest that fits it."""

    def change(ticket: dict[str, Any]) -> None:
        (zoo / ticket["path"] / name).write_bytes(data)
        ticket["files"][name] = {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)}

    changed(zoo, change)


@pytest.mark.parametrize("path", ["../outside", "/etc", "a//b", "a/../b", ".hidden", "a\nb", "", "a/" * 9 + "b"])
def test_paths_out_of_the_zoo_are_refused(hostile: Path, path: str) -> None:
    changed(hostile, lambda ticket: ticket.update(path=path))
    with pytest.raises(PrunebenchError, match="is no index of a zoo"):
        loaded(hostile)


def test_other_bytes_than_the_index_names_are_refused(hostile: Path) -> None:
    (_, (ticket,)) = tickets_of(str(hostile), entry=ENTRY, round=2)
    file = hostile / ticket.path / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    with pytest.raises(PrunebenchError, match="is not the file that the index names"):
        loaded(hostile)


def test_a_pickle_is_never_read(hostile: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return (pytest.fail, ("the pickle was read",))

    with_file(hostile, "weights.safetensors", pickle.dumps(Runs()))
    with pytest.raises(PrunebenchError, match="holds no tensors"):
        loaded(hostile)


def test_weights_that_are_not_zero_off_the_mask_are_refused(hostile: Path) -> None:
    ticket = loaded(hostile)
    dense = {name: torch.ones_like(value) for name, value in ticket.weights.items()}
    with_file(hostile, "weights.safetensors", safetensors.torch.save(dense))
    with pytest.raises(PrunebenchError, match="is not 0 where the mask is"):
        loaded(hostile)


def test_links_are_not_followed(hostile: Path, tmp_path: Path) -> None:
    (_, (ticket,)) = tickets_of(str(hostile), entry=ENTRY, round=2)
    shutil.move(str(hostile / ticket.path), tmp_path / "elsewhere")
    (hostile / ticket.path).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(PrunebenchError, match="is a link"):
        loaded(hostile)


@pytest.mark.parametrize(
    "network",
    [
        {"name": "hf-hub:someone/net"},
        {"args": {"pretrained": True}},
        {"args": {"checkpoint_path": "x.pth"}},
        {"classes": 10**9},
        {"shape": [3, 10**9, 10**9]},
    ],
)
def test_a_network_is_built_from_plain_arguments_alone(hostile: Path, network: dict[str, Any]) -> None:
    changed(hostile, lambda ticket: ticket["timm"].update(network))
    with pytest.raises(PrunebenchError):
        loaded(hostile).model()


def test_a_large_or_deep_index_is_refused(hostile: Path) -> None:
    (hostile / "index.json").write_text("[" * 100_000)
    with pytest.raises(PrunebenchError, match="is no index of a zoo"):
        loaded(hostile)


@given(st.text(max_size=30))
def test_a_path_of_a_zoo_stays_in_it(text: str) -> None:
    try:
        path = checked_path(text)
    except ValueError:
        return
    assert Path("/zoo", path).resolve().is_relative_to("/zoo")
    assert "\\" not in path
