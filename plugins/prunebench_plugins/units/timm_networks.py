"""Which of timm's networks lose channels, from trying: `python -m prunebench_plugins.units.timm_networks`.

Two pages are written: one of networks that people prune, and one with a network of every family of timm, each tried
within 40 seconds of processor time. The second takes an hour and writes each row when it has it: families that have one
in the page are not tried again.

    python -m prunebench_plugins.units.timm_networks > docs/timm-networks.md
    python -m prunebench_plugins.units.timm_networks --families 40 docs/timm-families.md
"""

from __future__ import annotations

import multiprocessing
import resource
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from prunebench import PlanError
from prunebench.api.info import DataInfo

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

    from torch import nn

    from prunebench_plugins.units._channel_units import ChannelUnits

SHAPES = {"": 32, "lenet_": 28, "inception_": 96}
"""Pixels of the images by the beginning of a network's name; the longest one counts."""
TOLD = ("vit_", "deit_", "beit_")
"""Networks that are told the size of the images."""
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "lenet_300_100": {},
    "conv2": {},
    "cifar_vgg16": {},
    "cifar_resnet20": {"shortcut": "A"},
    "cifar_resnet20 ": {"shortcut": "B"},
    "resnet18": {},
    "resnet50": {},
    "wide_resnet50_2": {},
    "resnext50_32x4d": {},
    "seresnet50": {},
    "resnetv2_50": {},
    "res2net50_26w_4s": {},
    "regnetx_002": {},
    "regnety_002": {},
    "vgg11_bn": {},
    "densenet121": {},
    "inception_v3": {},
    "mobilenetv2_100": {},
    "mobilenetv3_small_100": {},
    "mobilenetv4_conv_small": {},
    "efficientnet_b0": {},
    "efficientnetv2_rw_t": {},
    "mnasnet_100": {},
    "ghostnet_100": {},
    "hardcorenas_a": {},
    "dla34": {},
    "cspresnet50": {},
    "repvgg_a0": {},
    "convnext_atto": {},
    "convnextv2_atto": {},
    "vit_tiny_patch16_224": {},
    "deit_tiny_patch16_224": {},
    "deit_tiny_distilled_patch16_224": {},
    "beit_base_patch16_224": {},
}
"""What is tried: the constructor's arguments by name; a space at the end makes a second row of a network."""

HEAD = """# timm's networks with `units = "channels"`

What the dependency graph finds in each network, and what of it can be removed so that the small network computes what
the masked one does (checked on every network, while planning, and in `tests/plugins/units/test_shrink.py`). Written by
`python -m prunebench_plugins.units.timm_networks > docs/timm-networks.md`; images of 32 x 32 pixels (more where a
network asks for more), 10 classes.

*Units* are channels, groups of grouped convolutions, and heads. *Removable* is the share of parameters that would go
if every layer kept one unit. *Left out* are groups of channels that cannot be units, with the first reason.

| network | layers | units | of these heads | removable | left out |
|---|---|---|---|---|---|
"""

FAMILIES_HEAD = """# Every family of timm with `units = "channels"`

One network of each of timm's modules of models, a small one, with images of the size that it was published with and 10
classes. Each was tried in a process of its own on the meta device with {seconds} seconds of processor time. Written by
`python -m prunebench_plugins.units.timm_networks --families {seconds} docs/timm-families.md`, which goes on where it
was stopped: a family without a row has not been tried yet. The columns are those of
[timm-networks.md](timm-networks.md).

| network | layers | units | of these heads | removable | left out |
|---|---|---|---|---|---|
"""


@dataclass(frozen=True)
class Row:
    """What one network allows."""

    name: str
    layers: int = 0
    units: int = 0
    heads: int = 0
    removable: float = 0.0
    left_out: str = ""

    def __str__(self) -> str:
        if not self.units:
            return f"| {self.name} | none | | | | {self.left_out} |"
        numbers = f"{self.layers} | {self.units:,} | {self.heads or ''} | {100 * self.removable:.1f} %"
        return f"| {self.name} | {numbers} | {self.left_out} |"


def pixels(name: str) -> int:
    """The images' height and width for a network; what it was published with, if it is none of NETWORKS."""
    if name not in NETWORKS:
        import timm

        config = timm.get_pretrained_cfg(name)
        return int(config.input_size[-1]) if config is not None else 224
    return max((len(start), size) for start, size in SHAPES.items() if name.startswith(start))[1]


def data_info(name: str) -> DataInfo:
    """The data that a network is tried on."""
    channels = 1 if name.startswith("lenet_") else 3
    return DataInfo("noise", "0", {"train": 8}, (channels, pixels(name), pixels(name)), 10)


def network(name: str, **more: Any) -> nn.Module:
    """The network for its data, with fresh weights, from timm's registry and ours."""
    import timm

    import prunebench_plugins.models.architectures  # noqa: F401 (importing it registers the networks)

    info = data_info(name)
    arguments = {**NETWORKS.get(name, {}), **more}
    if name in NETWORKS and name.startswith(TOLD):
        arguments["img_size"] = pixels(name)
    if name.startswith("lenet_"):
        arguments["img_size"] = [pixels(name)] * 2
    model: nn.Module = timm.create_model(name.strip(), num_classes=10, in_chans=info.shape[0], **arguments)
    return model


def row(name: str) -> Row:
    """Try one network, on the meta device: nothing is drawn."""
    import timm  # noqa: F401 (before the meta device: importing timm imports what torch 2.8 cannot import under it)
    import torch

    from prunebench_plugins.units.channels import Channels, ChannelsConfig

    info = data_info(name)
    try:
        with torch.device("meta"):
            model = network(name)
    except NotImplementedError:  # of an operator that this torch lacks there, as 2.8 `unique`
        model = network(name)
    shown = f"{name.strip()}{''.join(f', {key} {value}' for key, value in NETWORKS.get(name, {}).items())}"
    try:
        units = Channels(ChannelsConfig()).prunebench_units(model, info, torch.zeros(1, *info.shape))
    except PlanError as error:
        return Row(shown, left_out=" ".join(str(error).removeprefix("channels: ").split()).replace("|", "/"))
    total = sum(parameter.numel() for parameter in model.parameters())
    heads = sum(layer.count for layer in units.layers if layer.kind == "heads")
    return Row(shown, len(units.layers), units.count, heads, _removable(units) / total, _left_out(units.excluded))


def _removable(units: ChannelUnits) -> int:
    import torch

    from prunebench.api.masks import Mask

    least = Mask(tuple(torch.arange(layer.count) < 1 for layer in units.layers))
    return sum(int((~keep).sum()) for keep in units.expand(least).values())


def _left_out(excluded: Mapping[str, str]) -> str:
    reasons = Counter(reason for reason in excluded.values() if "classifier" not in reason)
    if not reasons:
        return ""
    first = next(iter(reasons)).replace("|", "/")
    number = sum(reasons.values())
    return f"{number} {'group' if number == 1 else 'groups'}: {first}"


def families() -> list[str]:
    """One network of each of timm's families (its modules of models): the first of those with the fewest blocks."""
    import timm

    names = [timm.list_models(module=module) for module in timm.list_modules()]
    return [min(each, key=lambda name: (_size(name), name)) for each in names if each]


def _size(name: str) -> int:
    """How large a network is by its name: timm's words for small and large ones."""
    words = ("test_", "atto", "femto", "pico", "nano", "tiny", "xxs", "xs", "small", "_s", "50", "base", "large")
    return next((at for at, word in enumerate(words) if word in name), len(words) // 2)


def page(names: Sequence[str] = tuple(NETWORKS)) -> str:
    """The page, with a row for each network."""
    return HEAD + "".join(f"{row(name)}\n" for name in names)


def within(name: str, seconds: int) -> Row:
    """The row of a network, tried in a process of its own that is ended after some time of the processor.

    The processor's time and not the clock's: a busy machine must not write another table.
    """
    # A fork has torch and timm in it already, which take longer to import than most networks to try.
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_tried, args=(name, seconds, sender))
    child.start()
    sender.close()
    try:
        found: Row = receiver.recv()
    except EOFError:
        found = Row(name, left_out=f"not done within {seconds} s")
    child.join()
    return found


def _tried(name: str, seconds: int, sender: Connection) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    try:
        found = row(name)
    except Exception as error:  # whatever a foreign network raises is what its row says
        text = f"{type(error).__name__}: {' '.join(str(error).split())}".replace("|", "/")
        found = Row(name, left_out=f"it cannot be built for this data: {text[:200]}")
    sender.send(found)


def go_on(file: Path, names: Sequence[str], seconds: int) -> None:
    """Add the rows that a page of families lacks, each as soon as it is known; the page begins if it is not there."""
    if not file.exists():
        file.write_text(FAMILIES_HEAD.format(seconds=seconds), encoding="utf-8")
    there = {line.split("|")[1].strip() for line in file.read_text(encoding="utf-8").splitlines() if line[:2] == "| "}
    for name in names:
        if name not in there:
            found = within(name, seconds)
            with file.open("a", encoding="utf-8") as page:
                page.write(f"{found}\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--families"]:
        go_on(Path(sys.argv[3]), families(), int(sys.argv[2]))
    else:
        print(page(), end="")
