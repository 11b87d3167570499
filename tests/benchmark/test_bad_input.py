"""What a new user gets wrong is told before anything trains: where, what, and what to do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from prunebench import Component, ComponentConfig, hookimpl, runner
from prunebench.api.errors import ConfigError
from prunebench.benchmark.merging import merge, normalise
from prunebench.components.catalogue import Catalogue
from prunebench.runner.preparing import Options, Prepared
from prunebench.runner.running import Outcome
from prunebench.testing import toy_catalogue
from prunebench.testing.toy import TOY

Table = Mapping[str, Any]
INLINE = {"execution": {"workers": 0, "device": "cpu"}}
RESNET = {"model": {"use": "timm", "name": "cifar_resnet8"}}


class Torn(nn.Module):
    """A network that no image comes through."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.gate, self.head = nn.Linear(8, 6), Closed(), nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.head(self.gate(self.body(images.flatten(1))))
        return out


class Closed(nn.Module):
    """Refuses gradients, as in-place tricks and foreign kernels do."""

    def forward(self, images: Tensor) -> Tensor:
        if images.requires_grad and images.device.type == "cpu" and torch.is_grad_enabled() and not self.training:
            raise TypeError("this kernel has no graph")
        return images


class TornNet:
    @hookimpl
    def prunebench_model(self) -> nn.Module:
        return Torn()


def known() -> Catalogue:
    torn = Component("torn-net", ComponentConfig, lambda config: TornNet(), version=1)
    return toy_catalogue().with_components([torn], "torn 1.0")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRUNEBENCH_DATA", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checked(root: Path, *changes: Table, without: tuple[str, ...] = ()) -> Prepared:
    """What `prunebench check` does with the toy benchmark, changed."""
    table = normalise({key: value for key, value in TOY.items() if key not in without})
    for change in (INLINE, *changes):
        table = merge(table, normalise(change))
    file = root / "bad.toml"
    file.write_text(tomli_w.dumps(table))
    return runner.prepare(Options(file, store=root / "store"), known())


def complaint(root: Path, *changes: Table, without: tuple[str, ...] = ()) -> str:
    with pytest.raises(ConfigError) as caught:
        checked(root, *changes, without=without)
    said = str(caught.value)
    assert said.startswith("bad.toml: ")
    return said


def ran(root: Path, *changes: Table) -> Outcome:
    return runner.run(checked(root, *changes), catalogue=known())


def imp(**more: Any) -> Table:
    return {"entry": [{"name": "imp", **more}]}


def dense(**more: Any) -> Table:
    return {"entry": [{"name": "dense", **more}]}


def another(**more: Any) -> Table:
    return {"entry": [{"name": "another", "extends": "imp", **more}]}


LATE = {"schedule": {"use": "rewind", "to": "20it"}}

MISTAKES: dict[str, tuple[tuple[Table, ...], tuple[str, ...]]] = {
    "a find horizon shorter than the rewind position": (
        (imp(**LATE, find={"horizon": "10it"}),),
        ('entry "imp": position "20it" (iteration 20) is outside of the run', "to 10; state one", "`find.horizon`"),
    ),
    "a find stop before the rewind position": (
        (imp(**LATE, find={"stop": "10it"}),),
        ('entry "imp": position "20it"', "0 to 10; state one inside of it, or another `find.stop`"),
    ),
    "a rewind to the end": (
        (imp(schedule={"use": "rewind", "to": "24it"}),),
        ('entry "imp": round 1: nothing to train: it starts at "24it"', "start earlier or train longer"),
    ),
    "ratios of an entry that lacks a round": (
        (another(rounds=1, cut=0.2), imp(select={"use": "match-lpr", "of": "another"}), another(select="global")),
        ('entry "imp": match-lpr: entry "another" has no ticket of round 2', "give both the same cut and rounds"),
    ),
    "ratios of a dense entry": (
        (imp(select={"use": "match-lpr", "of": "dense"}),),
        ('match-lpr: entry "dense" has no ticket of round 1',),
    ),
    "an included layer that is not there": (
        (imp(units={"use": "weights", "include": ["fc9*"]}),),
        ('weights: include: "fc9*" matches no prunable layer', "`classifier = true`", 'Known: "1.weight"'),
    ),
    "an excluded layer that is not there": (
        (imp(units={"use": "weights", "exclude": ["fc9*"]}),),
        ('weights: exclude: "fc9*" matches no prunable layer',),
    ),
    "a rate for a layer that is not there": (
        (imp(units="weights", select={"use": "layerwise", "rates": {"head*": 0.5}}),),
        ('layerwise: rates: "head*" matches no layer that is pruned', 'Known: "1.weight"'),
    ),
    "an included group of channels that is not there": (
        (imp(units={"use": "channels", "include": ["conv9*"]}),),
        ('channels: include: "conv9*" matches no group of channels', 'Known: "1.weight"'),
    ),
    "channels of which not enough may go": (
        (imp(units={"use": "channels", "keep_at_least": 5}),),
        ("round 2 would leave 4 of 6 units, and its layers keep at least 5 in all", "`keep_at_least`"),
    ),
    "an ablation ratio above 1": (
        (imp(analyse={"use": "utility-ablation", "ratios": [0.5, 1.5]}),),
        ('analyse.ratios[1]: must be less than or equal to 1, not 1.5 (component "utility-ablation")',),
    ),
    "an ablation ratio of 0": (
        (imp(analyse={"use": "utility-ablation", "ratios": [0.0]}),),
        ("analyse.ratios[0]: must be greater than 0, not 0.0",),
    ),
    "a subset larger than the survivors": (
        (imp(analyse={"use": "utility-ablation", "ratios": [1.0], "by": "number"}),),
        ("utility-ablation: round 1: ratio 1 is 66 of 53 surviving units", "at most all: state other `ratios`"),
    ),
    "a subset of nothing": (
        (imp(analyse={"use": "utility-ablation", "ratios": [0.001]}),),
        ("ratio 0.001 is 0 of 53 surviving units", "has at least 1"),
    ),
    "more images than there are": (
        (imp(analyse={"use": "utility-ablation", "ratios": [0.1], "images": 1000}),),
        ("utility-ablation: images = 1,000, and there are 96 training images",),
    ),
    "a plane whose judged run trains nothing": (
        (imp(analyse="accuracy-plane", evaluate={"horizon": "0it"}),),
        ("accuracy-plane: round 2: the judged run trains nothing, so that Wr is Wp",),
    ),
    "a repulsion with a single round": (
        ({"rounds": 1}, imp(loss="repulsion")),
        ('entry "imp": repulsion: one round prunes', "write rounds = 2 or more"),
    ),
    "a repulsion where nothing is trained before it is pruned": (
        (imp(loss="repulsion", schedule="at-init"),),
        ("repulsion: the entry's schedule trains nothing before it prunes", "write loss = [] for this entry"),
    ),
    "an axis without places": (
        ({"report": {"axis": "density_all"}},),
        ("report: `axis` and `at` belong together", 'such as axis = "density_macs", at = [0.5, 0.25]'),
    ),
    "units of two kinds without an axis": (
        (another(units="channels"),),
        ("report.axis", "prune different units, whose densities mean different things", 'axis = "density_macs"'),
    ),
    "an axis that is none": (
        ({"report": {"axis": "density_mac", "at": [0.5]}},),
        ("report.axis: must be 'density', 'density_all', 'density_macs' or 'latency', not 'density_mac'",),
    ),
    "a place of no axis": (
        ({"report": {"axis": "density_all", "at": [1.5]}},),
        ("report: `at` has distinct shares between 0 and 1, not [1.5]",),
    ),
}
MISTAKES |= {
    f"{analysis} of a dense network": ((dense(analyse=analysis),), ('entry "dense": ' + analysis + ": ", said))
    for analysis, said in {
        "distances": "the entry has 1: it judges no pruned ticket; ask it of one that prunes",
        "error-barrier": "the entry has 1: it judges no pruned ticket; ask it of one that prunes",
        "threshold": "the entry prunes nothing; ask it of one with a schedule",
        "accuracy-plane": "the entry prunes nothing: it has neither Wp nor Wr; ask it of one with a schedule",
    }.items()
}
MISTAKES["instability of a round that a dense network lacks"] = (
    (dense(analyse={"use": "instability", "rounds": [1]}),),
    ("instability: there is no round 1; the entry has round 0 alone",),
)
MISTAKES |= {
    f"{score} of single weights": (
        (imp(score=score, units="weights"), dense(units="weights")),
        (f'entry "imp": score {score}: it scores channels and not single weights; write units = "channels"',),
    )
    for score in ("filter-l1", "filter-l2", "fpgm", "bn-gamma")
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_before_anything_trains(mistake: str, root: Path) -> None:
    changes, parts = MISTAKES[mistake]
    said = complaint(root, *changes)
    assert [part for part in parts if part not in said] == [], said


def test_densities_below_the_floors_of_coupled_channels_are_told(root: Path) -> None:
    units = {"use": "channels", "keep_at_least": 3}
    said = complaint(root, RESNET, {"densities": [0.5, 0.01]}, imp(units=units), without=("cut", "rounds"))
    assert "would leave 1 of 112 units, and its layers keep at least 9 in all; ask for a higher density" in said


def test_instability_is_measured_of_a_dense_network_too(root: Path) -> None:
    assert checked(root, dense(analyse="instability")).plan.trials[0].analyses


# Data


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = (np.arange(64 * 64 * 3) % 251).astype(np.uint8).reshape(64, 64, 3)
    Image.fromarray(pixels).save(path)
    return path


def tiny_imagenet(root: Path) -> Path:
    """A part of Tiny ImageNet; one of its training images."""
    folder = root / "tiny-imagenet-200"
    picture(folder / "val/images/a.JPEG")
    (folder / "wnids.txt").write_text("n1\nn2\n")
    (folder / "val/val_annotations.txt").write_text("a.JPEG\tn1\t0\t0\t1\t1\n")
    pictures = [picture(folder / f"train/n{1 + index // 4}/images/{index}.JPEG") for index in range(6)]
    return pictures[3]


def tiny(**more: Any) -> Table:
    return {"data": {"use": "tinyimagenet", **more}, "train": {"batch": 2}}


def test_cifar_that_is_absent_or_partly_there_is_told(root: Path) -> None:
    assert "cifar10: no cifar-10-batches-bin in" in complaint(root, {"data": "cifar10"})
    (root / "cifar-10-batches-bin").mkdir()
    (root / "cifar-10-batches-bin/data_batch_1.bin").write_bytes(b"0")
    said = complaint(root, {"data": "cifar10"})
    assert "cifar-10-batches-bin lacks data_batch_2.bin" in said
    assert "Run `prunebench data fetch cifar10`" in said


def test_a_part_of_tiny_imagenet_must_be_asked_for(root: Path) -> None:
    tiny_imagenet(root)
    said = complaint(root, tiny())
    assert "holds 2 classes, 6 training and 1 validation images of 200, 100,000 and 10,000" in said
    assert "say `subset = true`" in said
    fitting = {"model": {"use": "timm", "name": "lenet_300_100"}}
    assert checked(root, tiny(subset=True, valid=2), fitting).plan.trials[0].note.startswith("subset: ")


def test_more_held_out_images_than_there_are_is_told(root: Path) -> None:
    tiny_imagenet(root)
    said = complaint(root, tiny(subset=True))
    assert "the training set has 6 images; valid = 10,000 leaves 0; state a smaller `valid`" in said
    said = complaint(root, tiny(subset=True, valid=2, train=5))
    assert "valid = 2 leaves 4, and train = 5 asks for more; state a smaller `train`" in said


@pytest.mark.parametrize("memory", ["resident", "stream"])
@pytest.mark.parametrize("left", [0.5, 0.0])
def test_an_image_that_was_cut_short_is_told_once(memory: str, left: float, root: Path) -> None:
    image = tiny_imagenet(root)
    whole = image.read_bytes()
    image.write_bytes(whole[: round(left * len(whole))])
    said = complaint(root, tiny(subset=True, valid=2, memory=memory))
    assert said.count("train/n1/images/3.JPEG in") == said.count("is no image (") == 1


def test_a_folder_without_images_is_told(root: Path) -> None:
    data = {"data": {"use": "image-folder", "path": "mine", "size": 8}}
    assert "Put the images into mine/train/CLASS/ and mine/test/CLASS/" in complaint(root, data)
    for name in ("cat", "dog"):
        (root / "mine/train" / name).mkdir(parents=True)
    said = complaint(root, data)
    assert f"no images in {os.path.join(root, 'mine/train/cat')}. Put at least one there (.jpg," in said


# Weights


def test_every_weight_that_does_not_fit_is_listed(root: Path) -> None:
    offered = {"1.weight": (6, 8), "1.bias": (7,), "3.weight": (3, 5), "extra": (1,)}
    save_file({name: torch.zeros(shape) for name, shape in offered.items()}, root / "w.safetensors")
    said = complaint(root, {"model": {"weights": "w.safetensors"}})
    assert "does not fit the network; `fresh_head = true` draws the classifier anew:\n" in said
    assert said.partition("classifier anew:\n")[2].splitlines()[:4] == [
        "    1.bias: the network has [6], the file [7]",
        "    3.weight: the network has [3, 6], the file [3, 5]",
        "    3.bias: not in the file",
        "    extra: not in the network",
    ]


class RunsCode:
    """What a pickle may be: something that runs code when it is read."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> Any:
        return Path.touch, (self.file,)


def test_what_torch_saved_is_read_and_runs_no_code(root: Path, tmp_path: Path) -> None:
    torch.save({"1.weight": torch.zeros(6, 8)}, root / "w.pt")
    assert "1.bias: not in the file" in complaint(root, {"model": {"weights": "w.pt"}})
    torch.save({"1.weight": RunsCode(tmp_path / "ran")}, root / "bad.pt")
    said = complaint(root, {"model": {"weights": "bad.pt"}})
    assert "bad.pt: it holds more than tensors and plain values" in said
    assert not (tmp_path / "ran").exists()


def test_a_weight_file_that_is_absent_or_broken_is_told(root: Path) -> None:
    assert 'no file "no.pt" below the data root' in complaint(root, {"model": {"weights": "no.pt"}})
    (root / "w.bin").write_bytes(b"hello")
    assert "nor one that torch.save wrote; is it whole?" in complaint(root, {"model": {"weights": "w.bin"}})


# What only a run can know: the culprit is named, and the other trials go on.


def test_a_network_that_cannot_be_traced_loses_its_own_trials(root: Path) -> None:
    models = [{"use": "torn-net"}, {"use": "toy-net"}]
    ready = checked(root, {"model": models}, imp(units="channels"), dense(units="channels"))
    assert {(out.entry, out.model) for out in ready.plan.left_out} == {("imp", "torn-net"), ("dense", "torn-net")}
    why = ready.plan.left_out[0].why
    assert why == 'channels: Torn cannot be traced: module "gate": TypeError: this kernel has no graph'
    assert {trial.model for trial in ready.plan.trials} == {"toy-net"}


BROKEN: dict[str, tuple[Table, str]] = {
    "a plane through equal points": (
        {
            "analyse": "accuracy-plane",
            "schedule": {"use": "fine-tune", "over": "8it", "optimizer": {"use": "sgd", "lr": 1e-30}},
        },
        "accuracy-plane: round 2: Wp (pruned) and Wr (retrained) are equal",
    ),
    "a score of channels on units that have none": (
        {"score": "filter-l1"},
        'score filter-l1: layer "1.weight" has no channels to score; write units = "channels"',
    ),
}


def test_a_penalty_on_scales_of_a_network_without_them_loses_its_own_trials(root: Path) -> None:
    ready = checked(root, another(loss={"use": "gamma-l1", "strength": 0.1}))
    ((entry, why),) = [(out.entry, out.why) for out in ready.plan.left_out]
    assert entry == "another"
    assert why.startswith("loss gamma-l1: the network has no batch-norm layer with a learned scale")
    assert "another" not in {trial.entry for trial in ready.plan.trials}


@pytest.mark.parametrize("mistake", BROKEN)
def test_a_mistake_that_only_a_run_can_know_fails_its_own_trial(mistake: str, root: Path) -> None:
    change, said = BROKEN[mistake]
    outcome = ran(root, another(**change))
    ((trial, error),) = outcome.failed.items()
    assert trial.startswith("another, ")
    assert error.startswith(said)
    assert {row.outcome for row in outcome.rows if row.entry == "imp"} == {"ok"}
