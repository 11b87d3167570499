"""Names in weight files: what programs wrap around a network's own, and further names of shared tensors."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from prunebench import PlanError, PrunebenchError
from prunebench.kernels.convert_checkpoint import convert, main
from prunebench.kernels.saved_states import state_in
from prunebench.kernels.weight_files import check_fit, found, renamed, saved, shapes_of

WANTED = ("conv.weight", "conv.bias", "head.weight")


@pytest.mark.parametrize(
    "wrapped",
    [
        "{}",
        "module.{}",
        "_orig_mod.{}",
        "module._orig_mod.{}",
        "_orig_mod.module.{}",
        "model.{}",
        "model.module.{}",
        "net.{}",
    ],
)
def test_what_wraps_all_names_is_taken_off(wrapped: str) -> None:
    offered = [wrapped.format(name) for name in WANTED]
    assert list(renamed(offered, WANTED).values()) == list(WANTED)


def test_a_part_that_was_compiled_has_its_own_names() -> None:
    assert renamed(["conv._orig_mod.weight"], WANTED) == {"conv._orig_mod.weight": "conv.weight"}
    assert renamed(["_orig_mod.x"], ["_orig_mod.x"]) == {"_orig_mod.x": "_orig_mod.x"}


def test_names_that_the_network_has_are_left_as_they_are() -> None:
    wanted = ["module.weight", "weight"]
    assert renamed(wanted, wanted) == {name: name for name in wanted}
    assert renamed(["model.conv.weight", "loss.scale"], WANTED) == {
        "model.conv.weight": "conv.weight",
        "loss.scale": "loss.scale",
    }
    assert renamed(["strange.x"], WANTED) == {"strange.x": "strange.x"}
    assert renamed([], WANTED) == {}


def test_a_further_name_stands_for_the_first() -> None:
    further = {"tied.weight": "head.weight"}
    assert renamed(["module.tied.weight"], WANTED, further) == {"module.tied.weight": "head.weight"}


SHAPES = {"conv.weight": (4, 3), "conv.bias": (4,), "head.weight": (10, 4)}


def test_a_file_with_further_or_wrapped_names_fits() -> None:
    further = {"tied.weight": "head.weight"}
    check_fit("file", {f"module.{name}": shape for name, shape in SHAPES.items()}, SHAPES)
    offered = {"conv.weight": (4, 3), "conv.bias": (4,), "tied.weight": (10, 4)}
    check_fit("file", offered, SHAPES, further)
    check_fit("file", {**offered, "head.weight": (10, 4)}, SHAPES, further)
    with pytest.raises(PlanError, match=r"head\.weight: the file has it twice, as \[10, 4\] and \[9, 4\]"):
        check_fit("file", {**offered, "head.weight": (9, 4)}, SHAPES, further)


def test_a_head_that_is_drawn_need_not_fit_or_be_there() -> None:
    other = {**SHAPES, "head.weight": (100, 4)}
    with pytest.raises(PlanError, match=r"`fresh_head = true` draws the classifier anew:.*\n.*has \[10, 4\]"):
        check_fit("file", other, SHAPES)
    check_fit("file", other, SHAPES, drawn={"head.weight"})
    del other["head.weight"]
    check_fit("file", other, SHAPES, drawn={"head.weight"})
    with pytest.raises(PlanError, match=r"conv\.bias: not in the file") as refused:
        check_fit("file", {"conv.weight": (4, 3)}, SHAPES, drawn={"head.weight"})
    assert "fresh_head" not in str(refused.value)


# Checkpoints.


def state() -> dict[str, Tensor]:
    return {"conv.weight": torch.arange(12.0).view(4, 3), "conv.bias": torch.ones(4)}


def wrapped(prefix: str) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in state().items()}


CHECKPOINTS: dict[str, Any] = {
    "a state": state(),
    "DataParallel": {"state_dict": wrapped("module."), "epoch": 3, "optimizer": {"state": {0: torch.ones(2)}}},
    "Lightning": {"state_dict": wrapped("model."), "pytorch-lightning_version": "2.0", "loops": {"a": [1, None]}},
    "compiled": {"model_state_dict": wrapped("_orig_mod."), "loss": torch.tensor(0.5)},
    "compiled in DataParallel": {"model": wrapped("module._orig_mod.")},
    "twice": {"model": {"state_dict": wrapped("module.")}},
    "an ordered one": OrderedDict(state()),
}


@pytest.mark.parametrize("kind", CHECKPOINTS)
def test_a_checkpoint_is_read_as_it_is_and_converted(kind: str, tmp_path: Path) -> None:
    source = tmp_path / "my best.pt"
    torch.save(CHECKPOINTS[kind], source)
    wanted = {name: value.tolist() for name, value in state().items()}
    read = saved(found(tmp_path, "my best.pt"))
    assert {name: value.tolist() for name, value in read.tensors.items()} == wanted
    assert bool(read.taken_off) == (kind not in ("a state", "an ordered one"))
    assert {name: list(shape) for name, shape in shapes_of(source).items()} == {
        n: list(v.shape) for n, v in state().items()
    }
    assert main([str(source)]) == 0
    file = found(tmp_path, "my best.safetensors")
    assert {name: value.tolist() for name, value in load_file(file).items()} == wanted


def test_shared_and_strided_tensors_are_written(tmp_path: Path) -> None:
    weight = torch.arange(6.0).view(2, 3)
    torch.save({"a": weight, "b": weight, "c": weight.t(), "d": weight[0]}, tmp_path / "tied.pt")
    assert convert(tmp_path / "tied.pt", tmp_path / "tied.safetensors") == 4
    written = load_file(tmp_path / "tied.safetensors")
    assert torch.equal(written["a"], weight)
    assert torch.equal(written["c"], weight.t())


class Marker:
    """Runs when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (Path("it-ran"),)


def test_nothing_of_a_checkpoint_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, content in (("bad", {"state_dict": state(), "extra": Marker()}), ("module", nn.Linear(2, 2))):
        torch.save(content, tmp_path / f"{name}.pt")
        with pytest.raises(PrunebenchError, match="holds more than tensors and plain values, or is damaged"):
            convert(tmp_path / f"{name}.pt", tmp_path / "out.safetensors")
    assert not (tmp_path / "it-ran").exists()
    assert not (tmp_path / "out.safetensors").exists()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ([1, 2], "it has a list"),
        ({}, "it has nothing"),
        ({"ema": state(), "step": 3}, 'it has "ema", "step"'),
        ({"state_dict": {}}, "holds no state"),
    ],
)
def test_a_checkpoint_without_a_state_says_what_it_has(content: Any, match: str) -> None:
    with pytest.raises(PrunebenchError, match=match):
        state_in(content)


def test_a_key_says_which_of_several_states(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = {"state_dict": wrapped("module."), "ema": {"shadow": {"w": torch.ones(1)}}}
    assert list(state_in(content, "ema.shadow").tensors) == ["w"]
    with pytest.raises(PrunebenchError, match='no "emma" in the checkpoint; it has "state_dict", "ema"'):
        state_in(content, "emma")
    torch.save(content, tmp_path / "x.pt")
    assert main([str(tmp_path / "x.pt"), str(tmp_path / "y.safetensors"), "--key", "ema.shadow"]) == 0
    assert list(load_file(tmp_path / "y.safetensors")) == ["w"]
    assert main([str(tmp_path / "none.pt")]) == 2
    assert "cannot be read" in capsys.readouterr().err
    assert main([]) == 2


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "x.pt")
    content = (tmp_path / "x.pt").read_bytes()
    for damaged in (content[:-200], content[:30], b"PK"):
        (tmp_path / "x.pt").write_bytes(damaged)
        with pytest.raises(PrunebenchError, match=r"x\.pt: it holds more than tensors and plain values, or is damaged"):
            convert(tmp_path / "x.pt", tmp_path / "out.safetensors")
