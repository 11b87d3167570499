from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain, pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.parts import Regrow
from engine.toy_runs import TESTS, Workshop, bits, losses
from prunebench.api.data import Gather
from prunebench.api.errors import ContractError
from prunebench.engine.loop import Training
from prunebench.testing import ToyData, same, state

LENET = {
    "data": "mnist5k",
    "model": {"use": "timm", "name": "lenet_300_100", "init": "xavier_normal"},
    "train": {"horizon": "100it", "batch": 60, "optimizer": {"use": "adam", "lr": 1.2e-3}},
}

OPTIMIZERS = [
    {"use": "sgd", "lr": 0.1, "momentum": 0.9, "weight_decay": 1e-2},
    {"use": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-2},
    {"use": "adam", "lr": 1e-2, "weight_decay": 1e-2},
]


def recipe(**changes: Any) -> dict[str, Any]:
    return {"train": changes}


def dense(workshop: Workshop) -> Training:
    """The loop of the entry's dense run."""
    return workshop.training(workshop.chain.find(workshop.chain.dense, 1))


def ticket(workshop: Workshop, round: int = 1) -> Training:
    """The loop of the run that judges a ticket."""
    return workshop.training(workshop.chain.evaluate(workshop.chain.tickets[round]))


def batches(training: Training, stop: int) -> Iterator[tuple[Tensor, Tensor]]:
    return training.train.batches(training._gathers(stop))


# The numbers themselves.


@pytest.mark.parametrize(("name", "changes"), [("toy", {}), ("lenet", LENET)])
def test_the_first_twenty_losses_are_the_recorded_ones(store_path: Path, name: str, changes: dict[str, Any]) -> None:
    recorded = json.loads((TESTS / "golden" / "losses.json").read_text())[name]
    assert losses(dense(Workshop(store_path, changes)), 20) == pytest.approx(recorded, abs=1e-5)


def test_a_masked_run_has_the_losses_of_a_plain_loop_on_masked_weights(workshop: Workshop) -> None:
    training = ticket(workshop)
    keep = training.units.expand(training.mask)  # type: ignore[union-attr, arg-type]
    plain = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    plain.load_state_dict(training.model.state_dict())
    optimizer = torch.optim.SGD(plain.parameters(), lr=0.1, momentum=0.9)
    by_hand = []
    for images, labels in batches(training, 24):
        for name, kept in keep.items():
            plain.get_parameter(name).data.masked_fill_(~kept, 0.0)
        optimizer.zero_grad()
        loss = functional.cross_entropy(plain(images), labels)
        torch.autograd.backward(loss)
        optimizer.step()
        by_hand.append(loss.item())
    assert losses(training, 24) == pytest.approx(by_hand, abs=1e-6)


# Masks.


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["momentum", "nesterov", "adam"])
def test_masked_weights_are_zero_to_the_bit_after_each_of_a_thousand_steps(
    store_path: Path, optimizer: dict[str, Any]
) -> None:
    training = ticket(Workshop(store_path, recipe(horizon="1000it", optimizer=optimizer)), 2)
    assert training.masked is not None
    assert training.units is not None
    dead = [~training.units.expand(training.masked.mask)[name] for name in training.masked.names]
    zeros = [bytes(4 * int(d.sum())) for d in dead]
    for place in range(1, 1_001):
        training.advance(place, lambda position, loss: None)
        assert [bits(p[d]) for p, d in zip(training.masked.parameters, dead, strict=True)] == zeros, place
    for parameter, d in zip(training.masked.parameters, dead, strict=True):
        assert bool(parameter[~d].any())
        for value in training.optimizer.state[parameter].values():
            assert not isinstance(value, Tensor) or value.shape != parameter.shape or not bool(value[d].any())


@pytest.mark.parametrize("optimizer", OPTIMIZERS, ids=["momentum", "nesterov", "adam"])
def test_regrown_weights_and_their_optimizer_state_start_at_zero(
    store_path: Path, optimizer: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Regrow, "seen", [])
    changes = recipe(horizon="1000it", optimizer=optimizer, mask_updates=["regrow"])
    workshop = Workshop(store_path, recipe(horizon="1000it", optimizer=optimizer))
    changed = Workshop(store_path, changes)
    run = changed.chain.evaluate(workshop.chain.tickets[1])
    workshop.make(*[ref for ref in (run.ticket.weights, run.ticket.mask) if ref is not None])
    training = changed.training(run)
    assert training.masked is not None
    assert training.units is not None
    units = training.units
    regrown = 0

    def before_the_step(inner: torch.optim.Optimizer, args: object, keywords: object) -> None:
        nonlocal regrown
        assert training.masked is not None
        keep = units.expand(training.masked.mask)
        update = Regrow.seen[-1] if Regrow.seen and Regrow.seen[-1]["step"] == training.position else None
        for name, parameter in zip(training.masked.names, training.masked.parameters, strict=True):
            assert parameter.grad is not None
            assert not bool(parameter.grad[~keep[name]].any())
            assert bits(parameter[~keep[name]]) == bytes(4 * int((~keep[name]).sum()))
            if update is None:
                continue
            new = keep[name] & ~units.expand(update["old"])[name]
            regrown += int(new.sum())
            assert bits(parameter[new]) == bytes(4 * int(new.sum()))
            # The rule saw the gradient of weights that were masked, and the step uses it.
            assert torch.equal(parameter.grad[new], update["gradients"][name][new])
            for value in inner.state[parameter].values():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    assert bits(value[~keep[name] | new]) == bytes(4 * int((~keep[name] | new).sum()))

    training.optimizer.register_step_pre_hook(before_the_step)
    for place in range(1, 1_001):
        training.advance(place, lambda position, loss: None)
        keep = units.expand(training.masked.mask)
        for name, parameter in zip(training.masked.names, training.masked.parameters, strict=True):
            assert bits(parameter[~keep[name]]) == bytes(4 * int((~keep[name]).sum())), place
    assert len(Regrow.seen) == 200
    assert any(bool(gradient.any()) for gradient in Regrow.seen[0]["gradients"].values())
    assert regrown > 100
    assert training.mask is not None
    assert training.mask.count == run.ticket.count


def test_a_mask_that_changed_has_the_exact_count_at_the_horizon(store_path: Path) -> None:
    workshop = Workshop(store_path, recipe(mask_updates=["regrow"]))
    run = workshop.chain.evaluate(workshop.chain.tickets[1])
    assert run.end_mask is not None
    workshop.make(run.end, run.end_mask)
    assert run.ticket.mask is not None
    assert workshop.mask(run.end_mask).count == run.ticket.count
    assert workshop.mask(run.end_mask).flat().tolist() != workshop.mask(run.ticket.mask).flat().tolist()


def test_a_missed_count_at_the_horizon_names_the_component(store_path: Path) -> None:
    workshop = Workshop(store_path, recipe(mask_updates=[{"use": "regrow", "forget": 1}]))
    run = workshop.chain.find(workshop.chain.dense, 1)
    assert run.end_mask is not None
    with pytest.raises(
        ContractError, match=r"mask_updates regrow \(parts 1\.0\): 65 units are kept at the horizon; 66 were asked for"
    ):
        workshop.make(run.end_mask)
    assert not workshop.store.has(run.end_mask.address)


def test_a_mask_update_that_returns_other_layers_names_the_component(store_path: Path) -> None:
    workshop = Workshop(store_path, recipe(mask_updates=[{"use": "regrow", "wrong": True}]))
    run = workshop.chain.find(workshop.chain.dense, 1)
    with pytest.raises(ContractError, match=r"mask_updates regrow \(parts 1\.0\)"):
        workshop.make(run.end)


def test_a_run_that_changes_its_mask_is_bit_equal_after_a_resume(store_path: Path, tmp_path: Path) -> None:
    changes = recipe(mask_updates=[{"use": "regrow", "every": 3}])
    at_once, in_parts = Workshop(store_path, changes), Workshop(tmp_path / "other", changes)
    run = at_once.chain.evaluate(at_once.chain.tickets[1])
    in_parts.chain.evaluate(in_parts.chain.tickets[1])
    assert run.end_mask is not None
    at_once.make(run.end, run.end_mask)
    for place in (4, 9, 10, 17):
        in_parts.make(run.at(f"{place}it"))
    in_parts.make(run.end, run.end_mask)
    assert same(at_once.weights(run.end), in_parts.weights(run.end))
    assert torch.equal(at_once.mask(run.end_mask).flat(), in_parts.mask(run.end_mask).flat())


def test_a_prunable_layer_that_no_image_passes_is_trained_around(store_path: Path) -> None:
    training = ticket(Workshop(store_path, model={"use": "net", "kind": "unused"}))
    unused = bits(training.model.get_parameter("unused.weight"))
    training.advance(24, lambda position, loss: None)
    assert bits(training.model.get_parameter("unused.weight")) == unused


# The objective.


def one_step(
    training: Training, smoothing: float = 0.0
) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """Weights before a step, the plain gradients by hand, and weights after the engine's step."""
    before = state(training.model)
    net = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    net.load_state_dict(before)
    images, labels = next(batches(training, training.position + 1))
    log = functional.log_softmax(net(images), 1)
    wanted = (1 - smoothing) * functional.one_hot(labels, 3) + smoothing / 3
    torch.autograd.backward(-(wanted * log).sum(1).mean())
    gradients = {name: p.grad.clone() for name, p in net.named_parameters() if p.grad is not None}
    training.advance(training.position + 1, lambda position, loss: None)
    return before, gradients, state(training.model)


@pytest.mark.parametrize("kind", ["loss", "gradient"])
def test_a_loss_term_adds_its_gradient(store_path: Path, kind: str) -> None:
    loss = [{"use": "squares", "strength": 0.5, "kind": kind}]
    training = dense(Workshop(store_path, recipe(loss=loss, optimizer={"use": "sgd", "lr": 0.2, "momentum": 0.0})))
    before, gradients, after = one_step(training)
    for name, gradient in gradients.items():
        torch.testing.assert_close(after[name], before[name] - 0.2 * (gradient + 0.5 * before[name]))


def test_the_gradient_of_a_loss_term_is_masked(store_path: Path) -> None:
    loss = [{"use": "squares", "strength": -0.5, "kind": "gradient"}]
    training = ticket(Workshop(store_path, recipe(loss=loss)))
    training.advance(24, lambda position, loss: None)
    assert training.masked is not None
    assert training.units is not None
    for name, keep in training.units.expand(training.masked.mask).items():
        assert not bool(training.model.get_parameter(name)[~keep].any())


def test_label_smoothing_spreads_the_targets(store_path: Path) -> None:
    changes = recipe(label_smoothing=0.3, optimizer={"use": "sgd", "lr": 0.2, "momentum": 0.0})
    before, gradients, after = one_step(dense(Workshop(store_path, changes)), 0.3)
    for name, gradient in gradients.items():
        torch.testing.assert_close(after[name], before[name] - 0.2 * gradient)


def test_gradients_are_clipped_after_they_are_masked(store_path: Path) -> None:
    changes = recipe(max_gradient_norm=0.01, optimizer={"use": "sgd", "lr": 0.2, "momentum": 0.0})
    training = ticket(Workshop(store_path, changes), 2)
    assert training.masked is not None
    assert training.units is not None
    keep = training.units.expand(training.masked.mask)
    before, gradients, after = one_step(training)
    masked = {name: g * keep[name] if name in keep else g for name, g in gradients.items()}
    norm = torch.stack([g.square().sum() for g in masked.values()]).sum().sqrt()
    unmasked = torch.stack([g.square().sum() for g in gradients.values()]).sum().sqrt()
    assert norm < 0.99 * unmasked
    assert norm > 0.01
    for name, gradient in masked.items():
        torch.testing.assert_close(after[name], before[name] - 0.2 * gradient * 0.01 / norm, rtol=1e-4, atol=1e-7)


def test_later_learning_rate_wrappers_go_around_earlier_ones(store_path: Path) -> None:
    double, more = {"use": "wrap", "times": 2.0}, {"use": "wrap", "plus": 1.0}
    assert set(dense(Workshop(store_path, recipe(lr=["constant", double, more]))).rates) == {3.0}
    assert set(dense(Workshop(store_path, recipe(lr=["constant", more, double]))).rates) == {4.0}


def test_the_learning_rate_of_a_step_is_the_base_times_the_multiplier_there(store_path: Path) -> None:
    lr = [{"use": "milestones", "at": ["10it"], "factor": 0.1}, {"use": "warmup", "over": "4it"}]
    training = dense(Workshop(store_path, recipe(lr=lr)))
    seen: list[float] = []
    training.optimizer.register_step_pre_hook(lambda inner, *rest: seen.append(inner.param_groups[0]["lr"]))
    training.advance(12, lambda position, loss: None)
    assert seen == pytest.approx([0.025, 0.05, 0.075, *[0.1] * 7, 0.01, 0.01])


# Streams.


def gathers(training: Training, stop: int) -> list[Gather]:
    return list(training._gathers(stop))


def test_an_epoch_shows_each_image_once_and_drops_the_incomplete_batch(store_path: Path) -> None:
    training = dense(Workshop(store_path, recipe(batch=10, horizon="4ep")))
    assert training.steps_per_epoch == 9
    shown = [g.indices.tolist() for g in gathers(training, 36)]
    assert {len(batch) for batch in shown} == {10}
    epochs = [list(chain(*shown[start : start + 9])) for start in range(0, 36, 9)]
    for epoch in epochs:
        assert len(set(epoch)) == 90
        assert set(epoch) <= set(range(96))
    assert all(a != b for a, b in pairwise(epochs))
    # What one epoch drops, others show.
    assert set().union(*epochs) == set(range(96))


def test_a_run_that_starts_late_sees_what_the_whole_run_sees_there(store_path: Path) -> None:
    training = dense(Workshop(store_path))
    whole = gathers(training, 24)
    training.position = 7
    assert [(g.indices.tolist(), g.seed) for g in gathers(training, 24)] == [
        (g.indices.tolist(), g.seed) for g in whole[7:]
    ]


def test_seeds_and_rounds_have_orders_and_augmentations_of_their_own(tmp_path: Path) -> None:
    seen = []
    for seed in (0, 1):
        workshop = Workshop(tmp_path / str(seed), seeds=[seed])
        for round in (1, 2):
            training = workshop.training(workshop.chain.find(workshop.chain.dense, round))
            found = gathers(training, 24)
            assert len({g.seed for g in found}) == 24
            seen.append((found[0].indices.tolist(), found[0].seed))
    assert len({str(order) for order, _ in seen}) == len({seed for _, seed in seen}) == 4


def test_entries_that_differ_in_the_recipe_are_paired_by_seed(tmp_path: Path) -> None:
    slow = dense(Workshop(tmp_path / "a", recipe(optimizer={"use": "sgd", "lr": 0.001})))
    fast = dense(Workshop(tmp_path / "b", recipe(optimizer={"use": "adam"}, horizon="48it")))
    assert [g.indices.tolist() for g in gathers(slow, 24)] == [g.indices.tolist() for g in gathers(fast, 24)]
    assert same(state(slow.model), state(fast.model))


def test_training_images_are_augmented_by_the_seed_of_their_step(store_path: Path) -> None:
    training = dense(Workshop(store_path, data="augmented"))
    plain = ToyData().prunebench_data()["train"]
    for gather, (images, labels) in zip(gathers(training, 24), batches(training, 24), strict=True):
        ((same_images, same_labels),) = plain.batches([Gather(gather.indices)])
        assert torch.equal(labels, same_labels)
        # The noise only brightens.
        assert bool((images >= same_images - 1e-6).all())
        assert not torch.equal(images, same_images)
        ((again, _),) = training.train.batches([gather])
        assert torch.equal(images, again)


def test_dropout_is_reproducible_and_differs_from_step_to_step(store_path: Path) -> None:
    changes = {"model": {"use": "net", "kind": "dropout"}}
    one, two = dense(Workshop(store_path, changes)), dense(Workshop(store_path, changes))
    first = losses(one, 24)
    torch.manual_seed(99)
    assert losses(two, 24) == first
    assert same(state(one.model), state(two.model))
    images, _ = next(batches(dense(Workshop(store_path, changes)), 1))
    outputs = []
    for position in (0, 0, 1):
        one.position = position
        one._seed_dropout()
        outputs.append(bits(one.model(images)))
    assert outputs[0] == outputs[1] != outputs[2]
