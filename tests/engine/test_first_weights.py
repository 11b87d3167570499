"""Runs that start from the weights of a file, and runs that do not train at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from engine.toy_runs import Trained, Workshop, prepared, rows, run
from prunebench.api.errors import ContractError, PrunebenchError

NOTHING = {"train": {"horizon": "0it"}, "measure": {"every": None}}
AS_GIVEN: dict[str, Any] = {**NOTHING, "entry": [{"name": "imp", "schedule": "at-init"}]}


def weights(seed: int = 3) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    names = ("1.weight", "1.bias", "3.weight", "3.bias")
    return {name: torch.randn(shape) for name, shape in zip(names, ((6, 8), (6,), (3, 6), (3,)), strict=True)}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    save_file(weights(), folder / "trained.safetensors")
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def start(path: str | Path = "trained.safetensors") -> dict[str, Any]:
    return {"model": {"weights": str(path)}}


def workshop(root: Path, store: Path, **more: Any) -> Workshop:
    return Workshop(store, start(root / "trained.safetensors"), **more)


def test_every_seed_starts_from_the_weights_of_the_file(root: Path, store: Path) -> None:
    made = workshop(root, store)
    made.make(made.chain.dense.weights)
    found = made.weights(made.chain.dense.weights)
    assert all(torch.equal(found[name], value) for name, value in weights().items())
    assert workshop(root, store, seeds=[7]).chain.dense.weights == made.chain.dense.weights


def test_the_key_follows_the_content_of_the_file(root: Path, store: Path) -> None:
    before = workshop(root, store).chain.dense.weights
    save_file(weights(seed=4), root / "trained.safetensors")
    assert workshop(root, store).chain.dense.weights != before


def test_a_file_that_changed_after_planning_is_found(root: Path, store: Path) -> None:
    planned = workshop(root, store)
    save_file(weights(seed=4), root / "trained.safetensors")
    with pytest.raises(ContractError, match="changed since the run was planned"):
        planned.make(planned.chain.dense.weights)


def test_a_horizon_of_nothing_judges_the_weights_as_they_are(root: Path, store: Path) -> None:
    trained = Trained()
    outcome = run(store, start(), AS_GIVEN, observe=trained, root=root)
    assert trained.keys == set()
    judged = rows(outcome, entry="imp", split="test", metric="accuracy")
    assert [(row["position"], row["outcome"]) for row in judged] == [("0it", "ok")] * 2


def test_a_fine_tune_of_one_entry_goes_on_from_there(root: Path, store: Path) -> None:
    tuned = {"name": "tuned", "extends": "imp", "schedule": "at-init", "evaluate": {"horizon": "8it"}}
    outcome = run(store, start(), AS_GIVEN, {"entry": [tuned]}, root=root)
    assert {row["position"] for row in rows(outcome, entry="tuned", metric="accuracy")} == {"8it"}
    assert {row["position"] for row in rows(outcome, entry="dense", metric="accuracy")} == {"0it"}


def test_an_empty_window_that_nobody_asked_for_stays_an_error(root: Path, store: Path) -> None:
    with pytest.raises(PrunebenchError, match="nothing to train"):
        prepared(store, train={"stop": "0it"}, root=root)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model."])
def test_names_that_a_program_wrapped_are_read(root: Path, store: Path, prefix: str) -> None:
    save_file({prefix + name: value for name, value in weights().items()}, root / "trained.safetensors")
    made = workshop(root, store)
    made.make(made.chain.dense.weights)
    found = made.weights(made.chain.dense.weights)
    assert all(torch.equal(found[name], value) for name, value in weights().items())


# Another head.


def other_head(root: Path) -> dict[str, Tensor]:
    changed = weights()
    changed["3.weight"], changed["3.bias"] = torch.zeros(7, 6), torch.zeros(7)
    save_file(changed, root / "trained.safetensors")
    return changed


def test_a_head_of_another_size_is_drawn_for_each_seed_if_the_file_says_so(root: Path, store: Path) -> None:
    changed = other_head(root)
    assert "`fresh_head = true` draws the classifier anew" in problem(root)
    made = {}
    for seed in (0, 7):
        changes = {"model": {"weights": str(root / "trained.safetensors"), "fresh_head": True}}
        shop = Workshop(store, changes, seeds=[seed])
        shop.make(shop.chain.dense.weights)
        made[seed] = shop.weights(shop.chain.dense.weights)
        drawn = Workshop(store, seeds=[seed])
        drawn.make(drawn.chain.dense.weights)
        fresh = drawn.weights(drawn.chain.dense.weights)
        assert all(torch.equal(made[seed][name], changed[name]) for name in ("1.weight", "1.bias"))
        assert all(torch.equal(made[seed][name], fresh[name]) for name in ("3.weight", "3.bias"))
    assert not torch.equal(made[0]["3.weight"], made[7]["3.weight"])


def test_a_head_is_replaced_only_where_weights_are_read(root: Path) -> None:
    with pytest.raises(PrunebenchError, match="there is a head to replace only with `weights`, or"):
        prepared(root.parent / "store", {"model": {"fresh_head": True}}, root=root)


# Bad files.


def problem(root: Path, path: str = "trained.safetensors") -> str:
    with pytest.raises(PrunebenchError) as found:
        prepared(root.parent / "store", start(path), root=root)
    return str(found.value)


def test_a_missing_file_says_where_it_belongs(root: Path) -> None:
    assert 'model.weights: no file "other.safetensors" below the data root' in problem(root, "other.safetensors")


def test_every_mismatch_is_listed(root: Path) -> None:
    wrong = weights()
    wrong["1.weight"] = torch.zeros(5, 8)
    wrong["extra"] = wrong.pop("3.bias")
    save_file(wrong, root / "trained.safetensors")
    text = problem(root)
    assert "1.weight: the network has [6, 8], the file [5, 8]" in text
    assert "3.bias: not in the file" in text
    assert "extra: not in the network" in text


def test_a_file_of_torch_save_is_read_as_tensors_alone(root: Path, store: Path) -> None:
    torch.save({"state_dict": weights(seed=5)}, root / "trained.pt")
    made = Workshop(store, start(root / "trained.pt"))
    made.make(made.chain.dense.weights)
    assert all(torch.equal(made.weights(made.chain.dense.weights)[n], value) for n, value in weights(seed=5).items())
    torch.save(torch.nn.Linear(2, 2), root / "module.pt")
    assert "it holds more than tensors and plain values" in problem(root, "module.pt")


def test_a_pickle_under_another_name_is_refused(root: Path) -> None:
    torch.save(weights(), root / "trained.weights")
    assert "is a file of torch.save under another name; call it trained.pth" in problem(root, "trained.weights")


def test_a_damaged_file_is_named(root: Path) -> None:
    data = (root / "trained.safetensors").read_bytes()
    (root / "trained.safetensors").write_bytes(data[:100])
    assert '"trained.safetensors" is damaged' in problem(root)


def test_the_path_must_be_a_text(root: Path) -> None:
    with pytest.raises(PrunebenchError, match=r"model\.weights: must be a string, not 3"):
        prepared(root.parent / "store", {"model": {"weights": 3}}, root=root)
