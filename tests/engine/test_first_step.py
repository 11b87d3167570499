"""What the first step of a run would fail with is known while planning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunebench import CannotTakePart
from prunebench.api.component import BoundComponent
from prunebench.api.info import DataInfo
from prunebench.components.time_limit import watched
from prunebench.engine.first_step import why_it_fails
from prunebench.engine.probe import StoreProbe
from prunebench.plan.first_step import FirstStep
from prunebench.store.environment import Environment
from prunebench.store.store import Store
from prunebench.testing.toy import toy_benchmark, toy_catalogue

INFO = DataInfo("noise", "0", {"train": 32}, (1, 2, 4), 3)


def step(**changes: Any) -> FirstStep:
    (entry,) = [one for one in toy_benchmark({"train": changes}).entries if one.name == "imp"]
    return FirstStep(INFO, entry.task, entry.units, entry.find, entry.find.loss)


def component(table: str, slot: str) -> BoundComponent:
    return toy_catalogue().use(table, slot=slot, where=slot)


class Toy(nn.Module):
    """Two layers, and what a network may do wrong."""

    def __init__(self, outputs: int = 3) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(8, 6), nn.Linear(6, outputs)

    def forward(self, images: Tensor) -> Any:
        return self.head(self.body(images.flatten(1)).relu())


class Pair(Toy):
    def forward(self, images: Tensor) -> Any:
        outputs = super().forward(images)
        return (outputs, outputs) if self.training else outputs


class Named(Toy):
    def forward(self, images: Tensor) -> Any:
        return {"logits": super().forward(images)}


class OtherSize(Toy):
    def forward(self, images: Tensor) -> Any:
        assert images.shape[-1] == 224, "Input width (4) doesn't match model (224)."
        return super().forward(images)


class Spatial(Toy):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images)[:, :, None]


class Looks(Toy):
    """It looks at values, which tensors on the meta device have not."""

    def forward(self, images: Tensor) -> Any:
        return super().forward(images) if images.sum() < 1e9 else images


class Detached(Toy):
    def forward(self, images: Tensor) -> Any:
        return super().forward(images).detach()


class Normed(Toy):
    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, images: Tensor) -> Any:
        return self.norm(super().forward(images))


def built(make: Callable[[], nn.Module]) -> Callable[[str], nn.Module]:
    def on(device: str) -> nn.Module:
        with torch.device(device):
            return make()

    return on


@pytest.mark.parametrize("make", [Toy, Looks, Normed])
def test_a_sound_network_has_nothing_to_say(make: type[nn.Module]) -> None:
    assert why_it_fails(step(), built(make)) == ""


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (Pair, "in training, the network gives a tuple; classification takes one tensor"),
        (Named, "in evaluation, the network gives a dict; classification takes one tensor"),
        (lambda: Toy(2), "the network gives 2 for each example, and there are 3 classes"),
        (lambda: Toy(1000), "the network gives 1,000 for each example, and there are 3 classes"),
        (Spatial, "the network gives 3 x 1 for each example"),
        (OtherSize, "AssertionError: Input width (4) doesn't match model (224)."),
        (Detached, "does not require grad"),
    ],
)
def test_what_a_run_would_fail_with_is_told(make: Callable[[], nn.Module], told: str) -> None:
    assert told in why_it_fails(step(), built(make))


def test_norm_layers_are_tried_with_the_batch_of_the_recipe() -> None:
    assert "Expected more than 1 value per channel" in why_it_fails(step(batch=1), built(Normed))
    assert why_it_fails(step(batch=2), built(Normed)) == ""


def test_a_loss_term_that_finds_nothing_is_told() -> None:
    with pytest.raises(CannotTakePart, match="gamma-l1: the network has no batch-norm layer"):
        why_it_fails(step(loss=["gamma-l1"]), built(Toy))
    assert why_it_fails(step(loss=["gamma-l1"]), built(Normed)) == ""


def test_a_network_that_does_not_return_is_given_up() -> None:
    class Endless(nn.Linear):
        def forward(self, inputs: Tensor) -> Tensor:
            while True:
                pass

    with watched(0.2):
        assert "did not return within 0.2 s" in why_it_fails(step(), built(lambda: Endless(2, 2)))


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("error", "told"),
    [(SystemExit(0), "SystemExit: 0"), (GeneratorExit(), "GeneratorExit"), (Unspeakable(), "its text cannot be made")],
)
def test_a_network_that_leaves_the_program_or_fails_without_a_text_is_told(error: BaseException, told: str) -> None:
    class Leaves(Toy):
        def forward(self, images: Tensor) -> Any:
            raise error

    assert told in why_it_fails(step(), built(Leaves))


def test_a_failure_is_looked_for_again_and_a_success_is_not(tmp_path: Path) -> None:
    probe, chosen = StoreProbe(Store(tmp_path, environment=Environment({"for": "planning"})), tmp_path), toy_model()
    tried = []
    answers = ["MemoryError", "", "not asked any more"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("prunebench.engine.probe.why_it_fails", lambda *_: tried.append(1) or answers[len(tried) - 1])
        assert [probe.first_step(chosen, step()) for _ in range(3)] == ["MemoryError", "", ""]


def toy_model() -> Any:
    (entry,) = [one for one in toy_benchmark({}).entries if one.name == "imp"]
    return entry.models[0]


def test_trying_draws_nothing() -> None:
    class Drops(Toy):
        def forward(self, images: Tensor) -> Any:
            return nn.functional.dropout(super().forward(images), training=self.training)

    def on_cpu(device: str) -> nn.Module:
        if device == "meta":
            raise NotImplementedError("no meta device here")
        return model

    model = Drops()
    before = torch.get_rng_state()
    assert why_it_fails(step(), on_cpu) == ""
    assert torch.equal(torch.get_rng_state(), before)


def test_what_is_tried_is_told_apart_by_all_that_matters() -> None:
    changes: list[dict[str, Any]] = [{}, {"batch": 4}, {"label_smoothing": 0.1}, {"loss": ["gamma-l1"]}]
    assert len({str(step(**change).identity) for change in changes}) == len(changes)
    assert step(horizon="7it").identity == step().identity
