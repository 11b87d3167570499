from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from engine.toy_runs import rows, run

from prunebench.api.errors import ContractError
from prunebench.api.tickets import Inputs, Optimum
from prunebench.testing import LossContract, toy_request, two_layer_net
from prunebench_plugins.losses.distillation import Distillation, DistillationConfig


def teacher() -> Inputs:
    model = two_layer_net()
    generator = torch.Generator().manual_seed(3)
    state = {name: torch.randn(value.shape, generator=generator) for name, value in model.state_dict().items()}
    return {"teacher": (Optimum(state, None, 0),)}


class TestDistillation(LossContract):
    component = {"use": "distillation"}

    def inputs(self) -> Inputs:
        return teacher()


def test_the_term_is_the_divergence_by_hand() -> None:
    model = two_layer_net()
    (term,) = Distillation(DistillationConfig(strength=0.5, temperature=2.0)).prunebench_loss_terms(model, teacher())
    assert term.loss is not None
    taken = torch.randn(4, 2, 2, 2)
    dense = two_layer_net()
    dense.load_state_dict(dict(teacher()["teacher"][0].weights))
    wanted, given = (net(taken).div(2.0).softmax(1).double().tolist() for net in (dense, model))
    by_hand = [sum(p * math.log(p / q) for p, q in zip(*pair, strict=True)) for pair in zip(wanted, given, strict=True)]
    found = float(term.loss(taken, model(taken), torch.zeros(4, dtype=torch.int64)).detach())
    assert found == pytest.approx(0.5 * 4.0 * sum(by_hand) / 4, rel=1e-4)


def test_the_dense_network_has_no_teacher_and_a_ticket_has_the_dense_one() -> None:
    component = Distillation(DistillationConfig())
    assert not component.prunebench_needs(toy_request(round=1)).active
    request = toy_request(round=2)
    needs = component.prunebench_needs(request)
    assert needs.inputs["teacher"] == (request.optima[0],)


def test_a_smaller_network_than_the_dense_one_is_told() -> None:
    state = {name: value[:1] for name, value in two_layer_net().state_dict().items()}
    with pytest.raises(ContractError, match="write shrunk = false"):
        Distillation(DistillationConfig()).prunebench_loss_terms(
            two_layer_net(), {"teacher": (Optimum(state, None, 0),)}
        )


def test_pruned_runs_learn_from_the_trials_dense_run(tmp_path: Path) -> None:
    outcome = run(tmp_path, {"entry": [{"name": "imp", "evaluate": {"loss": ["distillation"]}}]})
    assert outcome.failed == {}
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}
