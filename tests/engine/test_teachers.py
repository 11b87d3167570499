"""A loss term with a teacher: a network of another entry, trained in another run, whose outputs are to be matched."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from engine.toy_runs import Workshop, catalogue, rows, run
from prunebench import Component, ComponentConfig, EntryRef, hookimpl
from prunebench.api.planning import Needs, Request
from prunebench.api.tickets import Inputs
from prunebench.api.training import LossTerm
from prunebench.plan.specs import TrainSpec

WEIGHT = 0.3


class TeacherConfig(ComponentConfig):
    entry: EntryRef = EntryRef("dense")


class Teacher:
    """Adds the divergence of the outputs from those of the dense network at the end of its training.

    Source: Hinton et al. 2015, section 2, at temperature 1.
    """

    def __init__(self, config: TeacherConfig) -> None:
        self._entry = config.entry

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        theirs = request.other(self._entry)
        return Needs({"teacher": (theirs.evaluate(theirs.dense).optimum,)})

    @hookimpl
    def prunebench_loss_terms(self, model: nn.Module, inputs: Inputs) -> Sequence[LossTerm]:
        (trained,) = inputs["teacher"]
        teacher = copy.deepcopy(model).eval().requires_grad_(False)
        teacher.load_state_dict(trained.weights)

        def term(taken: Tensor, outputs: Tensor, targets: Tensor) -> Tensor:
            wanted = teacher(taken).log_softmax(1)
            return WEIGHT * functional.kl_div(outputs.log_softmax(1), wanted, reduction="batchmean", log_target=True)

        return [LossTerm(loss=term)]


@pytest.fixture(autouse=True)
def _components(monkeypatch: pytest.MonkeyPatch) -> None:
    known = catalogue().with_components([Component("teacher", TeacherConfig, Teacher, version=1)], "here 1.0")
    monkeypatch.setattr("engine.toy_runs.catalogue", lambda: known)


def taught() -> dict[str, Any]:
    pruned = {"schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units"}
    return {"entry": [{"name": "dense"}, {"name": "imp", **pruned, "evaluate": {"loss": ["teacher"]}}]}


def test_the_teacher_is_in_the_key_of_the_run_that_it_teaches(store_path: Path) -> None:
    chain = Workshop(store_path, taught()).chain
    judged = chain.phases.by_key[chain.evaluate(chain.tickets[1]).key].spec
    found = chain.phases.by_key[chain.find(chain.dense, 1).key].spec
    assert isinstance(judged, TrainSpec)
    assert isinstance(found, TrainSpec)
    assert found.loss == ()
    (term,) = judged.loss
    (teacher,) = term.inputs["teacher"]
    assert teacher.weights in chain.phases.by_key[chain.evaluate(chain.tickets[1]).key].parents
    assert teacher.mask is None


def test_the_network_is_trained_to_give_what_the_teacher_gives(store_path: Path) -> None:
    workshop = Workshop(store_path, taught())
    judged = workshop.chain.evaluate(workshop.chain.tickets[1])
    training = workshop.training(judged)
    (term,) = training.terms
    spec = workshop.chain.phases.by_key[judged.key].spec
    assert isinstance(spec, TrainSpec)
    teacher = copy.deepcopy(training.model)
    teacher.load_state_dict(workshop.weights(spec.loss[0].inputs["teacher"][0].weights))
    inputs = torch.rand(5, 1, 2, 4)
    outputs = training.model.eval()(inputs)
    wanted, given = teacher.eval()(inputs).softmax(1), outputs.softmax(1)
    by_hand = WEIGHT * (wanted * (wanted.log() - given.log())).sum(1).mean()
    assert term.loss is not None
    torch.testing.assert_close(term.loss(inputs, outputs, torch.zeros(5)), by_hand)


def test_a_whole_benchmark_with_a_teacher_is_carried_out(store_path: Path) -> None:
    outcome = run(store_path, taught())
    assert outcome.failed == {}
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}
