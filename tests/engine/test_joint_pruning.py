"""Steps that edit weights from data: a pruning that updates the survivors, and a ticket edit that reads the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor, nn

from engine.toy_runs import Workshop, catalogue, rows, run
from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.component import BoundComponent
from prunebench.api.data import Data, in_order
from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask, Units
from prunebench.api.planning import Needs, Request
from prunebench.api.task import Task
from prunebench.api.tickets import Pruned, Ticket
from prunebench.kernels.selection import keep_highest
from prunebench.plan.json_values import to_json
from prunebench.plan.specs import EditSpec, JointPruneSpec
from prunebench.testing import PruneContract, TicketContract


class Refit:
    """Global magnitude; then each neuron's surviving weights are fitted again to what it gave, by least squares.

    Source: Hassibi & Stork 1993, for the neurons' own outputs on the training images.
    """

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_prune(
        self, model: nn.Module, data: Data, task: Task, units: Units, mask: Mask, count: int
    ) -> Pruned:
        scores = units.reduce(lambda name, weight: weight.abs())
        kept = Mask(keep_highest(scores.values, mask.keep, count))
        inputs = layer_inputs(model, data, task)
        keep = units.expand(kept)
        return Pruned(kept, {f"{name}.weight": fitted(model, name, x, keep) for name, x in inputs.items()})


def layer_inputs(model: nn.Module, data: Data, task: Task) -> dict[str, Tensor]:
    """What each linear layer reads of the training images."""
    seen: dict[str, Tensor] = {}
    handles = [
        module.register_forward_pre_hook(lambda module, args, name=name: seen.update({name: args[0].double()}))
        for name, module in model.named_modules()
        if isinstance(module, nn.Linear)
    ]
    train = data["train"]
    with torch.no_grad():
        for images, labels in train.batches(in_order(train.size, train.size)):
            model(task.batch(images, labels)[0])
    for handle in handles:
        handle.remove()
    return seen


def fitted(model: nn.Module, name: str, x: Tensor, keep: Any) -> Tensor:
    weight = model.get_parameter(f"{name}.weight").detach()
    new = torch.zeros_like(weight)
    for row, kept in enumerate(keep[f"{name}.weight"]):
        if bool(kept.any()):
            reads = x[:, kept]
            gram = reads.T @ reads + 1e-6 * torch.eye(reads.shape[1], dtype=torch.float64)
            new[row, kept] = torch.linalg.solve(gram, reads.T @ (x @ weight[row].double())).float()
    return new


class WrongConfig(ComponentConfig):
    kind: Literal[
        "one-more", "revives", "not-zero", "nan", "shape", "dtype", "bias", "unknown", "mask", "writes", "notes", "long"
    ]
    updates: tuple[str, ...] = ()


class Wrong:
    """Breaks the contract of a joint pruning in one way; `bias` does not where the tensor is declared."""

    def __init__(self, config: WrongConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        return Needs(updates=self._config.updates)

    @hookimpl
    def prunebench_prune(self, model: nn.Module, data: Data, units: Units, mask: Mask, count: int) -> Any:
        kind = self._config.kind
        scores = units.reduce(lambda name, weight: weight.abs())
        if kind == "revives" and mask.count < units.count:
            dead = tuple(~keep for keep in mask.keep)
            return Pruned(Mask(keep_highest(scores.values, dead, min(count, sum(int(d.sum()) for d in dead)))))
        kept = Mask(keep_highest(scores.values, mask.keep, count + (kind == "one-more")))
        first, weight = next(iter(model.named_parameters()))
        bias = next((name, p) for name, p in model.named_parameters() if name.endswith("bias"))
        masked = weight.detach() * units.expand(kept)[first]
        if kind == "writes":
            data["train"].images[0] += 1  # type: ignore[attr-defined]
        answers: dict[str, Any] = {
            "mask": kept,
            "not-zero": Pruned(kept, {first: weight.detach().clone().fill_(1e-30)}),
            "nan": Pruned(kept, {first: torch.where(masked == 0, masked, torch.nan)}),
            "shape": Pruned(kept, {first: masked.flatten()}),
            "dtype": Pruned(kept, {first: masked.double()}),
            "bias": Pruned(kept, {bias[0]: bias[1].detach() + 1}),
            "unknown": Pruned(kept, {"nowhere.weight": masked}),
            "notes": Pruned(kept, notes="a layer had too few examples"),  # type: ignore[arg-type]
            "long": Pruned(kept, notes=("a" * 501,)),
        }
        return answers.get(kind, Pruned(kept))


class Recalibrate:
    """Batch norm's running statistics taken anew from the training images, with the ticket's mask."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_ticket(self, ticket: Ticket, model: nn.Module, data: Data, task: Task, units: Units) -> Ticket:
        with torch.no_grad():
            for name, keep in units.expand(ticket.mask).items() if ticket.mask is not None else ():
                model.get_parameter(name).masked_fill_(~keep, 0.0)
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.reset_running_stats()
                    module.momentum = None  # the mean over all batches
            model.train()
            train = data["train"]
            for images, labels in train.batches(in_order(train.size, 32)):
                model(task.batch(images, labels)[0])
            model.eval()
        buffers = {name: value.cpu().clone() for name, value in model.named_buffers()}
        return replace(ticket, weights={**ticket.weights, **buffers})


def known() -> Any:
    def component(name: str, build: Callable[[Any], object], config: Any = ComponentConfig) -> Component:
        return Component(name, config, build, version=1)

    more = [component("refit", Refit), component("wrong", Wrong, WrongConfig), component("recalibrate", Recalibrate)]
    return catalogue().with_components(more, "here 1.0")


@pytest.fixture(autouse=True)
def _components(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.toy_runs.catalogue", known)


def imp(**changes: Any) -> dict[str, Any]:
    return {"entry": [{"name": "dense", "units": "toy-units"}, {"name": "imp", "prune": "refit", **changes}]}


class TestRefit(PruneContract):
    component = {"use": "refit"}

    def use(self) -> BoundComponent:
        return known().use(self.component, slot=self.slot)  # type: ignore[no-any-return]


class TestRecalibrate(TicketContract):
    component = {"use": "recalibrate"}

    def use(self) -> BoundComponent:
        return known().use(self.component, slot=self.slot)  # type: ignore[no-any-return]


# What a joint pruning leaves.


def test_its_weights_are_the_survivors_fitted_again_and_zero_elsewhere(store_path: Path) -> None:
    workshop = Workshop(store_path, imp(schedule="lr-rewind"), rounds=1, cut=0.5)
    ticket = workshop.chain.tickets[1]
    trained = workshop.chain.find(workshop.chain.dense, 1)
    assert ticket.mask is not None
    workshop.make(ticket.mask, ticket.weights, trained.end)
    mask, after, before = workshop.mask(ticket.mask), workshop.weights(ticket.weights), workshop.weights(trained.end)
    for name, keep in zip(("1.weight", "3.weight"), mask.keep, strict=True):
        flat = after[name].flatten()
        assert not bool(flat[~keep].any())
        assert not torch.equal(flat[keep], before[name].flatten()[keep])
    assert all(torch.equal(after[name], before[name]) for name in ("1.bias", "3.bias"))


def test_it_prunes_with_less_loss_than_magnitude_alone(store_path: Path, tmp_path: Path) -> None:
    losses = []
    for folder, prune in ((store_path, {}), (tmp_path / "other", {"score": "magnitude", "select": "global"})):
        way = {**prune, "schedule": "lr-rewind", "evaluate": {"horizon": "24it"}}
        changes = imp(**way) if not prune else {"entry": [{"name": "imp", **way}]}
        workshop = Workshop(folder, changes, rounds=1, cut=0.6)
        judged = workshop.chain.evaluate(workshop.chain.tickets[1])
        curve = workshop.curve(judged)
        workshop.make(curve)
        losses.append(workshop.points(curve)[0]["test/loss"])
    assert losses[0] < losses[1]


@pytest.mark.parametrize(
    ("schedule", "carries"),
    [
        ("lr-rewind", True),
        ({"use": "one-shot", "weights": "carry"}, True),
        ({"use": "fine-tune", "over": "6it", "optimizer": {"use": "sgd", "lr": 0.01}}, True),
        ("rewind", False),
        ("one-shot", False),
        ("continue", False),
        ("at-init", False),
        ("small-network", False),
    ],
    ids=str,
)
def test_schedules_that_carry_weights_on_take_the_updated_ones(store_path: Path, schedule: Any, carries: bool) -> None:
    chain = Workshop(store_path, imp(schedule=schedule)).chain
    for ticket in chain.tickets[1:]:
        assert ticket.mask is not None
        assert (ticket.weights.key == ticket.mask.key) == carries


def test_continued_training_goes_on_from_the_updated_weights(store_path: Path) -> None:
    chain = Workshop(store_path, imp(schedule="continue")).chain
    first, second = (ticket.mask for ticket in chain.tickets[1:3])
    assert first is not None
    assert second is not None
    run = chain.phases.by_key[chain.phases.by_key[second.key].spec.weights.key].spec  # type: ignore[union-attr]
    assert run.weights == replace(first, part="weights")  # type: ignore[union-attr]


def test_a_whole_benchmark_is_carried_out(store_path: Path) -> None:
    outcome = run(store_path, imp(schedule="lr-rewind"))
    assert outcome.failed == {}
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}
    assert [row["density"] for row in rows(outcome, entry="imp", metric="accuracy", split="test")] == [53 / 66, 42 / 66]


# What is in its key.


def test_what_it_asks_for_is_in_its_key_and_nothing_else(store_path: Path) -> None:
    chain = Workshop(store_path, imp()).chain
    mask = chain.tickets[1].mask
    assert mask is not None
    spec = chain.phases.by_key[mask.key].spec
    assert isinstance(spec, JointPruneSpec)
    assert set(to_json(spec)) == {"weights", "mask", "prune", "task", "model", "units", "count", "streams", "data"}
    assert chain.phases.by_key[mask.key].parents[0] == spec.weights


@pytest.mark.parametrize("field", ["version", "updates"])
def test_another_component_or_another_declaration_has_another_key(store_path: Path, field: str) -> None:
    keys = set()
    for updates in ((), ("*.bias",)):
        chain = Workshop(store_path, imp(prune={"use": "wrong", "kind": "bias", "updates": list(updates)})).chain
        keys.add(chain.tickets[1].mask)
    assert len(keys) == 2


# What the engine holds it to.


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("one-more", "it kept 54 units; 53 were asked for"),
        ("not-zero", r"\d+ pruned weights of 1.weight are not 0"),
        ("nan", "1.weight is not finite"),
        ("shape", "1.weight has another shape or type than before"),
        ("dtype", "1.weight has another shape or type than before"),
        ("bias", r"it changed 1.bias, which no unit touches; declare it: Needs\(updates=\('1.bias',\)\)"),
        ("unknown", 'the network has no tensor "nowhere.weight"'),
        ("mask", "it returned Mask, not Pruned"),
        ("notes", "its notes must be a tuple of texts of at most 500 characters"),
        ("long", "its notes must be a tuple of texts of at most 500 characters"),
    ],
)
def test_a_pruning_that_breaks_its_contract_is_named_and_leaves_nothing(
    store_path: Path, kind: str, message: str
) -> None:
    workshop = Workshop(store_path, imp(schedule="at-init", prune={"use": "wrong", "kind": kind}))
    mask = workshop.chain.tickets[1].mask
    assert mask is not None
    outputs = [mask, replace(mask, part="weights")]
    with pytest.raises(ContractError, match=rf"^prune wrong \(here 1.0\), round 1: {message}"):
        workshop.make(*outputs)
    assert not any(workshop.store.has(ref.address) for ref in outputs)


def test_a_pruned_unit_cannot_come_back(store_path: Path) -> None:
    workshop = Workshop(
        store_path, imp(schedule={"use": "at-init", "iterative": True}, prune={"use": "wrong", "kind": "revives"})
    )
    mask = workshop.chain.tickets[2].mask
    assert mask is not None
    with pytest.raises(ContractError, match=r"round 2: it (revived|kept)"):
        workshop.make(mask)


def test_a_declared_tensor_may_change(store_path: Path) -> None:
    prune = {"use": "wrong", "kind": "bias", "updates": ["*.bias"]}
    workshop = Workshop(store_path, imp(schedule="at-init", prune=prune))
    mask = workshop.chain.tickets[1].mask
    assert mask is not None
    weights = replace(mask, part="weights")
    workshop.make(mask, weights, workshop.chain.dense.weights)
    before, after = workshop.weights(workshop.chain.dense.weights), workshop.weights(weights)
    assert torch.equal(after["1.bias"], before["1.bias"] + 1)
    assert torch.equal(after["3.bias"], before["3.bias"])


def test_writing_into_the_data_is_refused(store_path: Path) -> None:
    workshop = Workshop(store_path, imp(schedule="at-init", prune={"use": "wrong", "kind": "writes"}))
    mask = workshop.chain.tickets[1].mask
    assert mask is not None
    with pytest.raises(ContractError, match="wrote into the data"):
        workshop.make(mask)


# A ticket edit that reads data.


def edited(store: Path) -> tuple[Workshop, Any]:
    entry = {"name": "imp", "schedule": "lr-rewind", "score": "magnitude", "select": "global", "units": "toy-units"}
    workshop = Workshop(store, {"entry": [entry], "model": {"use": "net", "kind": "batch-norm"}}, rounds=1)
    component = workshop.workbench.catalogue.use("recalibrate", slot="ticket")
    return workshop, workshop.chain.edited(workshop.chain.tickets[1], [component], 0)


def test_batch_norm_is_recalibrated_from_the_training_images_under_the_mask(store_path: Path) -> None:
    workshop, ticket = edited(store_path)
    before = workshop.chain.tickets[1]
    workshop.make(before.weights, ticket.weights, ticket.mask)
    old, new = workshop.weights(before.weights), workshop.weights(ticket.weights)
    changed = {name for name in old if not torch.equal(old[name], new[name])}
    assert (
        {"1.running_mean", "1.running_var"} <= changed <= {"1.running_mean", "1.running_var", "1.num_batches_tracked"}
    )


def test_the_data_is_in_the_key_of_an_edit_that_reads_it_and_of_no_other(store_path: Path) -> None:
    workshop, ticket = edited(store_path)
    spec = workshop.chain.phases.by_key[ticket.weights.key].spec
    assert isinstance(spec, EditSpec)
    assert spec.data == workshop.chain.context.data_spec
    plain = workshop.chain.edited(
        workshop.chain.tickets[1], [workshop.workbench.catalogue.use("shuffle-within-layer", slot="ticket")], 0
    )
    other = workshop.chain.phases.by_key[plain.weights.key].spec
    assert isinstance(other, EditSpec)
    assert "data" not in to_json(other)
