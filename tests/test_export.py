"""What leaves a run is the network that was judged: rebuilt from its files it gives the same outputs."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import catalogue, prepared, rows, run
from safetensors.torch import load_file, save_file

from prunebench.data import in_order
from prunebench.engine.measuring import measure_split
from prunebench.errors import ConfigError, PrunebenchError
from prunebench.export import Choice, Exported, chosen, export, load_exported
from prunebench.testing import ToyData

Export = Callable[..., Exported]


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def out(store: Path, tmp_path: Path) -> Export:
    def write(choice: Choice, changes: Mapping[str, Any] | None = None, **options: Any) -> Exported:
        return export(prepared(store, changes or {}), choice, tmp_path / "out", catalogue=catalogue(), **options)

    return write


def accuracy(folder: Path) -> float:
    test = ToyData().prunebench_data()["test"]
    _, hits = measure_split(load_exported(folder, catalogue()), test, in_order(test.size, 100))
    return float(hits.double().mean())


def test_a_trained_network_has_the_accuracy_that_it_was_judged_by(store: Path, out: Export) -> None:
    outcome = run(store)
    for round in (1, 2):
        done = out(Choice("imp", round=round))
        (row,) = rows(outcome, entry="imp", round=round, metric="accuracy", split="test")
        assert accuracy(done.folder) == row["value"]
        assert done.sidecar["history"]["key"] == row["key"]


def test_what_the_run_lacks_is_trained_first(out: Export) -> None:
    assert out(Choice("imp")).differences["weights.safetensors"] == 0.0


def test_an_untrained_ticket_is_the_masked_initial_network(store: Path, out: Export) -> None:
    dense = out(Choice("dense", trained=False))
    first = load_file(dense.folder / "weights.safetensors")
    ticket = out(Choice("imp", trained=False))
    weights = load_file(ticket.folder / "weights.safetensors")
    kept = {name: value != 0 for name, value in weights.items()}
    assert sum(int(kept[name].sum()) for name in ("1.weight", "3.weight")) == 42
    assert all(torch.equal(weights[name], first[name] * kept[name]) for name in weights)


def test_the_sidecar_tells_every_pruning(out: Export) -> None:
    history = out(Choice("imp", density="0.64")).sidecar["history"]
    assert [(step["round"], step["count"]) for step in history["prunings"]] == [(1, 53), (2, 42)]
    assert {step["score"]["use"] for step in history["prunings"]} == {"magnitude"}


def test_the_size_counts_what_storing_only_the_kept_weights_takes(out: Export) -> None:
    size = out(Choice("imp")).sidecar["size"]
    assert size["bytes"] == size["dense_bytes"] == 4 * 75
    assert size["sparse_bytes"] < size["bytes"]


def test_an_onnx_file_gives_the_same_outputs_for_any_number_of_images(out: Export) -> None:
    import onnxruntime

    done = out(Choice("imp"), onnx=True)
    assert done.differences["model.onnx"] < 1e-5
    session = onnxruntime.InferenceSession(str(done.folder / "model.onnx"), providers=["CPUExecutionProvider"])
    images = torch.randn(3, 1, 2, 4)
    (logits,) = session.run(None, {"images": images.numpy()})
    assert torch.allclose(torch.from_numpy(logits), load_exported(done.folder, catalogue())(images), atol=1e-5)


def test_nothing_that_was_written_is_a_pickle(out: Export) -> None:
    done = out(Choice("imp"))
    assert sorted(path.name for path in done.folder.iterdir()) == [
        "mask.safetensors",
        "model.json",
        "weights.safetensors",
    ]


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        (Choice("inp"), 'no entry "inp".*Did you mean "imp"'),
        (Choice("imp", seed=5), "--seed: 5 is not one of 0"),
        (Choice("imp", round=9), "round 9 was not judged; rounds 1, 2 were"),
        (Choice("imp", density="0.3"), "no round has density 0.3"),
    ],
)
def test_a_choice_that_is_not_there_says_what_is(store: Path, choice: Choice, message: str) -> None:
    with pytest.raises((ConfigError, PrunebenchError), match=message):
        chosen(prepared(store).plan, choice)


def test_a_file_that_was_changed_is_not_loaded(out: Export) -> None:
    done = out(Choice("imp"))
    weights = done.folder / "weights.safetensors"
    save_file({name: value + 1 for name, value in load_file(weights).items()}, weights)
    with pytest.raises(PrunebenchError, match="not the file that was exported"):
        load_exported(done.folder, catalogue())


def test_a_folder_without_an_export_is_told(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="no export"):
        load_exported(tmp_path, catalogue())
    (tmp_path / "model.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(PrunebenchError, match="format 99; this version reads 1"):
        load_exported(tmp_path, catalogue())
