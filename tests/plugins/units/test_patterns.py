"""Which layers of a residual network are pruned, and how fast: patterns on names, from the file to the masks."""

from __future__ import annotations

from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from engine.toy_runs import Workshop, rows, run
from torch import nn

from prunebench.api.errors import ConfigError
from prunebench.api.info import DataInfo
from prunebench_plugins.units.weights import Weights, WeightsConfig

INFO = DataInfo("noise", "0", {"train": 8}, (1, 32, 32), 3)

SMALL = "test_resnet"
"""timm's own network for tests: three stages with projection shortcuts."""

PAPERS: dict[str, dict[str, Any]] = {
    "convolutions only": {"kinds": ["conv"]},
    "linear layers only": {"kinds": ["linear"], "classifier": True},
    "classifier in": {"classifier": True},
    "classifier out": {},
    "no projection shortcut": {"exclude": ["*downsample*"]},
    "shortcuts and classifier": {"include": ["*downsample*", "fc.*"], "classifier": True},
    "one stage without its shortcut": {"include": ["layer2.*"], "exclude": ["*downsample*"]},
}


@cache
def network(name: str) -> nn.Module:
    with torch.device("meta"):
        model: nn.Module = timm.create_model(name, num_classes=3, in_chans=1)
    return model


def weights(name: str) -> dict[str, int]:
    """The weights of more than one dimension: those of convolutions and linear layers, and no others here."""
    return {n: p.numel() for n, p in network(name).named_parameters() if p.ndim > 1}


def chosen(name: str, pattern: str) -> dict[str, int]:
    """What a pattern means, said another way: by the shapes and the parts of the names."""
    convs = {n: c for n, c in weights(name).items() if network(name).get_parameter(n).ndim == 4}
    shortcuts = {n: c for n, c in convs.items() if "downsample" in n.split(".")}
    linear = {n: c for n, c in weights(name).items() if n not in convs}
    assert set(linear) == {"fc.weight"}
    assert shortcuts
    return {
        "convolutions only": convs,
        "linear layers only": linear,
        "classifier in": {**convs, **linear},
        "classifier out": convs,
        "no projection shortcut": {n: c for n, c in convs.items() if n not in shortcuts},
        "shortcuts and classifier": {**shortcuts, **linear},
        "one stage without its shortcut": {
            n: c for n, c in convs.items() if n.startswith("layer2.") and n not in shortcuts
        },
    }[pattern]


@pytest.mark.parametrize("pattern", PAPERS)
@pytest.mark.parametrize("name", [SMALL, "resnet18", "resnet50"])
def test_a_pattern_means_what_the_paper_prunes(name: str, pattern: str) -> None:
    units = Weights(WeightsConfig.model_validate(PAPERS[pattern])).prunebench_units(
        network(name), INFO, torch.zeros(1, *INFO.shape)
    )
    assert {layer.name: layer.count for layer in units.layers} == chosen(name, pattern)


def test_resnet_18_has_three_projection_shortcuts_to_leave_out() -> None:
    of = {p: len(chosen("resnet18", p)) for p in ("convolutions only", "no projection shortcut")}
    assert of == {"convolutions only": 20, "no projection shortcut": 17}


def resnet(units: dict[str, Any], **entry: Any) -> dict[str, Any]:
    table = {"use": "weights", **units}
    return {
        "model": {"use": "timm", "name": SMALL},
        "train": {"horizon": "3it", "batch": 16},
        "measure": {"every": "3it"},
        "entry": [{"name": "dense", "units": table}, {"name": "imp", "units": table, **entry}],
    }


def judged(workshop: Workshop, round: int) -> dict[str, torch.Tensor]:
    """The weights at the end of the run that judges a ticket."""
    end = workshop.chain.evaluate(workshop.chain.tickets[round]).end
    workshop.make(end)
    return workshop.weights(end)


@pytest.mark.parametrize("pattern", PAPERS)
def test_what_is_left_out_is_never_pruned_and_still_trains(tmp_path: Path, pattern: str) -> None:
    changes = resnet(PAPERS[pattern])
    outcome = run(tmp_path, changes)
    assert {row["outcome"] for row in rows(outcome)} == {"ok"}
    workshop = Workshop(tmp_path, changes)
    pruned = chosen(SMALL, pattern)
    total = sum(pruned.values())
    initial, final = workshop.weights(workshop.chain.dense.weights), judged(workshop, 2)
    zeros = {name: int((final[name] == 0).sum()) for name in weights(SMALL)}
    assert {name for name, count in zeros.items() if count} <= set(pruned)
    assert sum(zeros.values()) == total - round(0.64 * total)
    assert all(not torch.equal(final[name], initial[name]) for name in weights(SMALL))


RATES = {"conv1.*": 0.25, "*downsample*": 0.5, "fc.*": 0.5, "layer4.*.conv?.weight": 1.5}


def slowed(name: str) -> float:
    return next((rate for pattern, rate in RATES.items() if fnmatchcase(name, pattern)), 1.0)


def test_slow_and_fast_layers_are_cut_by_their_own_rates_round_after_round(tmp_path: Path) -> None:
    changes = resnet({"classifier": True}, select={"use": "layerwise", "rates": RATES})
    outcome = run(tmp_path, changes)
    assert {row["outcome"] for row in rows(outcome)} == {"ok"}
    workshop = Workshop(tmp_path, changes)
    assert {slowed(name) for name in weights(SMALL)} == {0.25, 0.5, 1.0, 1.5}
    for ticket in workshop.chain.tickets[1:]:
        assert ticket.mask is not None
        kept = [round((1 - 0.2 * slowed(n)) ** ticket.round * count) for n, count in weights(SMALL).items()]
        assert list(workshop.mask(ticket.mask).counts) == kept
        assert ticket.count == sum(kept)


def test_a_rate_for_a_layer_that_is_not_pruned_is_refused_before_anything_trains(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r'rates: "fc\.\*" matches no layer'):
        run(tmp_path, resnet({}, select={"use": "layerwise", "rates": {"fc.*": 0.5}}))


@pytest.mark.parametrize(
    ("units", "error"),
    [
        ({"include": ["fc.*"]}, r'include: "fc\.\*" matches no prunable layer \(the classifier is one only with'),
        ({"kinds": ["linear"]}, "no layer is left to prune"),
        ({"kinds": ["linear"], "classifier": True, "exclude": ["*downsample*"]}, r"exclude: .* matches no prunable"),
    ],
)
def test_a_pattern_without_a_layer_is_refused_before_anything_trains(
    tmp_path: Path, units: dict[str, Any], error: str
) -> None:
    with pytest.raises(ConfigError, match=error):
        run(tmp_path, resnet(units))
