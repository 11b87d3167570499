"""The committed table of timm's networks says what is true of them; that of its families grows row by row."""

from __future__ import annotations

from pathlib import Path

import pytest

from prunebench_plugins.units import timm_networks
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


def test_a_page_of_families_goes_on_where_it_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def within(name: str, seconds: int) -> timm_networks.Row:
        tried.append(name)
        if name == "stops":
            raise KeyboardInterrupt
        return timm_networks.Row(name, left_out=f"not done within {seconds} s")

    monkeypatch.setattr(timm_networks, "within", within)
    page = tmp_path / "families.md"
    with pytest.raises(KeyboardInterrupt):
        timm_networks.go_on(page, ["a", "stops", "b"], 3)
    timm_networks.go_on(page, ["a", "b"], 3)
    assert tried == ["a", "stops", "b"]
    lines = page.read_text().splitlines()
    assert lines[-2:] == [f"| {name} | none | | | | not done within 3 s |" for name in "ab"]
    assert lines[0].startswith("# Every family")
