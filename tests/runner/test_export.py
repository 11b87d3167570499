"""What leaves a run is the network that was judged: rebuilt from its files it gives the same outputs."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from engine.toy_runs import FILE, catalogue, install, prepared, rows, run
from safetensors.torch import load_file, save_file

from prunebench.api.data import in_order
from prunebench.api.errors import ConfigError, PrunebenchError
from prunebench.commands.main import main
from prunebench.engine.workbench import Workbench
from prunebench.kernels.evaluation import evaluate
from prunebench.plan.specs import ComponentSpec
from prunebench.runner.export import Choice, Exported, chosen, export, load_exported
from prunebench.testing import ToyData, task_of

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
    task = task_of({"use": "classification"})
    with torch.no_grad():
        _, correct = evaluate(load_exported(folder, catalogue()), task, test.batches(in_order(test.size, 100)))
    assert correct is not None
    return float(correct.double().mean())


def test_a_trained_network_has_the_accuracy_that_it_was_judged_by(store: Path, out: Export) -> None:
    outcome = run(store)
    for round in (1, 2):
        done = out(Choice("imp", round=round))
        (row,) = rows(outcome, entry="imp", round=round, metric="accuracy", split="test")
        assert accuracy(done.folder) == row["value"]
        assert done.sidecar["history"]["key"] == row["key"]


def test_a_folder_may_be_given_as_text(out: Export) -> None:
    folder = out(Choice("imp")).folder
    by_path, by_text = (load_exported(one, catalogue()).state_dict() for one in (folder, str(folder)))
    assert by_path.keys() == by_text.keys()
    assert all(torch.equal(by_path[name], by_text[name]) for name in by_path)


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


def test_a_link_in_the_place_of_a_file_is_replaced_and_not_written_through(out: Export, tmp_path: Path) -> None:
    folder = out(Choice("imp")).folder
    victim = tmp_path / "victim"
    victim.write_text("mine")
    for name in ("weights.safetensors", "mask.safetensors", "model.json"):
        (folder / name).unlink()
        (folder / name).symlink_to(victim)
    out(Choice("imp"))
    assert victim.read_text() == "mine"
    assert sorted(path.name for path in folder.iterdir() if not path.is_symlink()) == [
        "mask.safetensors",
        "model.json",
        "weights.safetensors",
    ]
    load_exported(folder, catalogue())


@pytest.mark.parametrize(
    "change",
    [
        lambda sidecar: [],
        lambda sidecar: {"format": 1},
        lambda sidecar: {**sidecar, "files": 3},
        lambda sidecar: {**sidecar, "model": {"use": "no-such-thing"}},
        lambda sidecar: {**sidecar, "units": "weights"},
        lambda sidecar: {**sidecar, "input": {"shape": [-1], "dtype": "load"}},
    ],
)
def test_a_sidecar_that_is_none_is_a_sentence(out: Export, change: Callable[[Any], Any]) -> None:
    folder = out(Choice("imp")).folder
    file = folder / "model.json"
    file.write_text(json.dumps(change(json.loads(file.read_text()))))
    with pytest.raises(PrunebenchError, match=re.escape(str(folder))):
        load_exported(folder, catalogue())


def test_a_folder_without_an_export_is_told(tmp_path: Path) -> None:
    with pytest.raises(PrunebenchError, match="no export"):
        load_exported(tmp_path, catalogue())
    (tmp_path / "model.json").write_text(json.dumps({"format": 99}))
    with pytest.raises(PrunebenchError, match="format 99; this version reads 1"):
        load_exported(tmp_path, catalogue())


CHANNELS = {
    "model": {"use": "net", "kind": "batch-norm"},
    "entry": [
        {"name": "dense", "units": "weights"},
        {"name": "imp", "units": "channels", "score": "filter-l1", "densities": [0.5], "cut": 0.5, "rounds": 1},
    ],
}
"""A convolution of 4 channels that the classifier reads as 8 pixels each; two of the channels are pruned."""


def masked_original(store: Path, changes: Mapping[str, Any], entry: str) -> torch.nn.Module:
    """The judged network at its full size, its pruned weights zero: put together here, from the store."""
    made = prepared(store, changes)
    _, evaluation = chosen(made.plan, Choice(entry))
    workbench = Workbench(made.open_store(), catalogue(), Path(), "cpu")
    spec = made.plan.phases[evaluation.run.key].spec
    model = workbench.model(spec.model, workbench.tensors(evaluation.run.end))
    mask = workbench.mask(evaluation.mask)
    assert mask is not None
    units = workbench.units(ComponentSpec.of(made.benchmark.all_entries[entry].units), spec.task, spec.model, model)
    with torch.no_grad():
        for name, keep in units.expand(mask).items():
            model.get_parameter(name).mul_(keep)
    return model


@pytest.mark.parametrize(("changes", "smaller"), [(CHANNELS, True), ({}, False)], ids=["channels", "weights"])
def test_the_loaded_network_gives_the_outputs_of_the_masked_original(
    store: Path, out: Export, changes: Mapping[str, Any], smaller: bool
) -> None:
    done = out(Choice("imp"), changes)
    original, loaded = masked_original(store, changes, "imp"), load_exported(done.folder, catalogue())
    images = torch.randn(16, 1, 2, 4)
    with torch.inference_mode():
        assert torch.allclose(loaded(images), original(images), rtol=1e-5, atol=1e-5)
    sizes = [sum(p.numel() for p in network.parameters()) for network in (loaded, original)]
    assert (sizes[0] < sizes[1]) == smaller
    assert done.sidecar["size"]["parameters"] == sizes[0]


def test_channels_that_are_pruned_are_gone_from_every_tensor_that_is_written(out: Export) -> None:
    done = out(Choice("imp"), CHANNELS)
    shapes = {name: tuple(value.shape) for name, value in load_file(done.folder / "weights.safetensors").items()}
    assert shapes["0.weight"] == (2, 1, 3, 3)
    assert shapes["1.running_mean"] == (2,)
    assert shapes["4.weight"] == (3, 16)
    size = done.sidecar["size"]
    assert size["sparse_bytes"] == size["bytes"] < size["dense_bytes"]


def test_a_network_without_its_channels_is_as_small_in_onnx(out: Export) -> None:
    import onnx

    done = out(Choice("imp"), CHANNELS, onnx=True)
    assert done.differences["model.onnx"] < 1e-5
    stored = {tuple(tensor.dims) for tensor in onnx.load(done.folder / "model.onnx").graph.initializer}
    assert (3, 16) in stored
    assert (3, 32) not in stored


def test_an_export_that_is_loaded_in_inference_mode_can_be_trained_all_the_same(out: Export) -> None:
    folder = out(Choice("imp"), CHANNELS).folder
    with torch.inference_mode():
        network = load_exported(folder, catalogue())
    network(torch.randn(4, 1, 2, 4)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())


def test_what_diverged_is_told_and_nothing_is_written(out: Export, tmp_path: Path) -> None:
    wild = {"evaluate": {"optimizer": {"use": "sgd", "lr": 1e30, "momentum": 0.9}}}
    with pytest.raises(PrunebenchError, match='entry "imp", seed 0, round 2: training diverged'):
        out(Choice("imp"), wild)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def benchmark_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy benchmark as a file, and its components as an installed distribution."""
    folder = tmp_path / "installed"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(install(folder)))
    monkeypatch.setenv("PRUNEBENCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("COLUMNS", "200")
    (tmp_path / "toy.toml").write_text(FILE)
    return tmp_path / "toy.toml"


def command(file: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["export", str(file), *arguments])


def test_the_command_says_what_it_wrote_and_that_it_equals_the_original(benchmark_file: Path, tmp_path: Path) -> None:
    done = command(benchmark_file, "--entry", "imp", "--round", "1", "--to", str(tmp_path / "out"))
    assert done.exit_code == 0, done.output
    assert "imp, seed 0, round 1, density 0.8030; 75 parameters, 300 bytes (dense 300" in done.output
    assert "weights.safetensors: outputs equal the original's (largest relative difference 0" in done.output
    assert load_exported(tmp_path / "out", catalogue()).training is False


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--entry", "inp"], '--entry: no entry "inp". Did you mean "imp"?'),
        (["--entry", "imp", "--round", "7"], "round 7 was not judged; rounds 1, 2 were"),
        (["--entry", "imp", "--seed", "3"], "--seed: 3 is not one of 0"),
        (["--entry", "imp", "--density", "0.3"], "no round has density 0.3"),
        (["--entry", "imp", "--density", "half"], '--density: "half" is not a number'),
        (["--entry", "imp", "--model", "vgg"], "--model: 'vgg' is not one of toy-net"),
    ],
)
def test_the_command_says_what_there_is_where_it_is_asked_for_something_else(
    benchmark_file: Path, tmp_path: Path, arguments: list[str], said: str
) -> None:
    refused = command(benchmark_file, *arguments, "--to", str(tmp_path / "out"))
    assert refused.exit_code == 2
    assert said in refused.output
    assert not (tmp_path / "out").exists()
