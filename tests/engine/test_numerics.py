"""The declared variants of the step: what stays exact in each, and what is refused where it cannot be computed."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from engine.test_trajectories import StopsAt, digests
from engine.toy_runs import Workshop, bits, losses, prepared
from prunebench.api.errors import ConfigError, ContractError
from prunebench.api.planning import Ref, Run
from prunebench.engine import numerics
from prunebench.engine.numerics import unable
from prunebench.engine.work import CancelledError

BN: dict[str, Any] = {"model": {"use": "net", "kind": "batch-norm"}}
NOISY: dict[str, Any] = {"data": "augmented", "model": {"use": "net", "kind": "dropout"}}
VARIANTS: dict[str, dict[str, Any]] = {
    "bf16": {"numerics": "bf16"},
    "channels_last": {"memory_format": "channels_last"},
    "both": {"numerics": "bf16", "memory_format": "channels_last"},
    "compile": {"compile": True},
}
variants = pytest.mark.parametrize("recipe", [pytest.param(recipe, id=name) for name, recipe in VARIANTS.items()])
uncompiled = pytest.mark.parametrize(
    "recipe", [pytest.param(recipe, id=name) for name, recipe in VARIANTS.items() if name != "compile"]
)
"""Compiling takes many seconds: what has been seen once of it is not looked at again."""
NEEDS_COMPILER = pytest.mark.skipif(bool(unable("float32", True, "cpu")), reason="no C++ compiler")


@pytest.fixture(autouse=True)
def _compiler(request: pytest.FixtureRequest) -> None:
    if "compile" in request.node.name and unable("float32", True, "cpu"):
        pytest.skip("no C++ compiler")


def last(workshop: Workshop) -> Run:
    """The run that trains the last ticket, under a mask."""
    return workshop.chain.evaluate(workshop.chain.tickets[-1])


def parents(workshop: Workshop, run: Run) -> tuple[Ref, ...]:
    return tuple(workshop.chain.phases.by_key[run.key].parents)


@variants
def test_masked_weights_are_exactly_zero_after_every_step(store_path: Path, recipe: dict[str, Any]) -> None:
    workshop = Workshop(store_path, BN, {"train": {**recipe, "optimizer": {"weight_decay": 1e-2}}})
    training = workshop.training(last(workshop))
    assert training.masked is not None
    for step in range(1, 13):
        training.advance(step, lambda position, loss: None)
        assert training.masked.moved() is None
        assert all(p.dtype == torch.float32 for p in training.model.parameters())


@pytest.mark.parametrize("optimizer", [{"use": "sgd", "lr": 0.1, "momentum": 0.9}, {"use": "adam", "lr": 0.01}])
@uncompiled
def test_a_cancelled_run_goes_on_bit_equal(
    store_path: Path, tmp_path: Path, recipe: dict[str, Any], optimizer: dict[str, Any]
) -> None:
    changes = {**BN, "train": {**recipe, "optimizer": optimizer, "horizon": "120it"}}
    at_once, cancelled = Workshop(store_path, changes), Workshop(tmp_path / "cancelled", changes)
    run, again = last(at_once), last(cancelled)
    at_once.make(run.end, run.end_optimizer)
    cancelled.make(*parents(cancelled, again))
    with pytest.raises(CancelledError):
        cancelled.make(again.end, again.end_optimizer, channel=StopsAt(60))
    cancelled.make(again.end, again.end_optimizer)
    assert digests(at_once, run.end, run.end_optimizer) == digests(cancelled, again.end, again.end_optimizer)


@variants
def test_dropout_draws_from_the_same_place_after_a_resume(
    store_path: Path, tmp_path: Path, recipe: dict[str, Any]
) -> None:
    changes = {**NOISY, "train": {**recipe, "horizon": "120it"}}
    at_once, cancelled = Workshop(store_path, changes), Workshop(tmp_path / "cancelled", changes)
    run = at_once.chain.find(at_once.chain.dense, 1)
    cancelled.chain.find(cancelled.chain.dense, 1)
    at_once.make(run.end, run.end_optimizer)
    with pytest.raises(CancelledError):
        cancelled.make(run.end, channel=StopsAt(60))
    cancelled.make(run.end)
    assert digests(at_once, run.end) == digests(cancelled, run.end)


@uncompiled
def test_a_variant_is_near_the_plain_step_and_not_the_plain_step(store_path: Path, recipe: dict[str, Any]) -> None:
    plain, variant = Workshop(store_path, BN), Workshop(store_path, BN, {"train": recipe})
    assert last(plain).key != last(variant).key
    before, after = (losses(workshop.training(last(workshop)), 10) for workshop in (plain, variant))
    assert after == pytest.approx(before, rel=0.05)
    if recipe.get("numerics") == "bf16":
        assert after != before


def test_channels_last_holds_weights_masks_gradients_and_optimizer_state_alike(
    store_path: Path, tmp_path: Path
) -> None:
    changes = {**BN, "train": {"memory_format": "channels_last", "horizon": "120it"}}
    workshop = Workshop(store_path, changes)
    run = last(workshop)
    workshop.make(*parents(workshop, run))
    with pytest.raises(CancelledError):
        workshop.make(run.end, channel=StopsAt(60))
    training = workshop.training(run)  # goes on from the checkpoint, whose tensors lie as files have them
    assert training.position == 100
    weight = next(p for p in training.model.parameters() if p.dim() == 4)
    losses(training, 101)
    assert weight.grad is not None
    state = training.optimizer.state[weight]["momentum_buffer"]
    # One input channel looks the same in both formats but for the strides.
    assert weight.stride() == weight.grad.stride() == state.stride()
    assert weight.stride() == torch.empty(weight.shape).to(memory_format=torch.channels_last).stride()


def test_what_is_measured_is_float32(store_path: Path) -> None:
    workshop = Workshop(store_path, BN, {"train": {"numerics": "bf16"}})
    run = last(workshop)
    workshop.make(run.end)
    training = workshop.training(run)
    seen: list[torch.dtype] = []
    handle = training.model.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    with torch.no_grad():
        training.model.eval()(next(iter(workshop_inputs(workshop))))
    handle.remove()
    assert seen[-1] == torch.float32
    assert all(
        value.dtype == torch.float32 for value in workshop.weights(run.end).values() if value.is_floating_point()
    )


def workshop_inputs(workshop: Workshop) -> list[torch.Tensor]:
    context = workshop.chain.context
    return [workshop.workbench.example(context.task_spec, context.model_spec)]


@NEEDS_COMPILER
def test_a_network_that_cannot_be_compiled_as_a_whole_is_named(
    store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(inputs: torch.Tensor) -> torch.Tensor:
        torch._dynamo.graph_break()
        return inputs

    workshop = Workshop(store_path, BN, {"train": {"compile": True}})
    training = workshop.training(last(workshop))
    monkeypatch.setattr(type(training.model), "forward", lambda self, inputs: broken(inputs))
    with pytest.raises(ContractError, match=r"compile = true: Sequential cannot be compiled as a whole"):
        losses(training, 1)


@pytest.mark.parametrize(
    ("asked", "device", "why"),
    [
        (("float32", False), "cpu", ""),
        (("bf16", False), "cpu", ""),
        (("tf32", False), "cpu", 'numerics = "tf32": cpu has no TF32, CUDA devices have; write "float32" or "bf16"'),
        (("bf16", False), "mps", 'numerics = "bf16": not for mps; write "float32"'),
        (("float32", True), "mps", "compile = true: not for mps; leave it out"),
    ],
)
def test_what_a_device_cannot_train_is_told(asked: tuple[str, bool], device: str, why: str) -> None:
    assert unable(*asked, device) == why


def test_without_a_compiler_compiling_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    assert "needs a C++ compiler" in unable("float32", True, "cpu")


def test_the_first_step_of_a_run_that_a_device_cannot_train_is_never_done(
    store_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workshop = Workshop(store_path, BN, {"train": {"numerics": "tf32"}})
    with pytest.raises(ContractError, match="cpu has no TF32"):
        workshop.make(last(workshop).end)


def test_tf32_is_on_for_training_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    switches = SimpleNamespace(allow_tf32=False), SimpleNamespace(allow_tf32=False)
    monkeypatch.setattr(torch.backends, "cuda", SimpleNamespace(matmul=switches[0]))
    monkeypatch.setattr(torch.backends, "cudnn", switches[1])
    with numerics.matrix_products("tf32", torch.device("cuda")):
        assert all(switch.allow_tf32 for switch in switches)
    assert not any(switch.allow_tf32 for switch in switches)
    with numerics.matrix_products("float32", torch.device("cuda")):
        assert not any(switch.allow_tf32 for switch in switches)


def test_float32_steps_are_those_that_they_were(store_path: Path) -> None:
    """A plain recipe calls the network itself: nothing is laid around it."""
    workshop = Workshop(store_path, BN)
    training = workshop.training(last(workshop))
    assert training.forward is training.model
    weights = {name: bits(value) for name, value in training.model.state_dict().items()}
    training.model(torch.zeros(2, 1, 2, 4))
    assert weights == {name: bits(value) for name, value in training.model.state_dict().items()}


def test_a_file_that_states_the_cpu_is_refused_when_it_is_planned(store_path: Path) -> None:
    from prunebench.runner.trainable import refuse_recipes

    benchmark = prepared(store_path, {"train": {"numerics": "tf32"}}).benchmark
    with pytest.raises(ConfigError, match="cpu has no TF32"):
        refuse_recipes(benchmark, "cpu")
