"""The committed table of timm's networks says what is true of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunebench_plugins.units.timm_networks import HEAD, NETWORKS, row

PAGE = (Path(__file__).parents[3] / "docs" / "timm-networks.md").read_text()
QUICK = [
    "lenet_300_100",
    "conv2",
    "cifar_resnet20",
    "cifar_resnet20 ",
    "resnet18",
    "regnetx_002",
    "vit_tiny_patch16_224",
]
"""Of each kind one, tried again; test_shrink tries the rest of what works."""


@pytest.mark.parametrize("name", QUICK)
def test_the_row_of_a_network_is_current(name: str) -> None:
    assert f"{row(name)}\n" in PAGE


def test_every_network_that_is_tried_has_a_row() -> None:
    assert PAGE.startswith(HEAD)
    assert len(PAGE.removeprefix(HEAD).splitlines()) == len(NETWORKS)
