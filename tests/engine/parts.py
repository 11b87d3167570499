"""Components for the tests of the engine: small ones that do a thing exactly, and ones that break a contract."""

from __future__ import annotations

import hashlib
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from prunebench import Component, ComponentConfig, DataMissing, hookimpl
from prunebench.api.data import Data, Resident
from prunebench.api.downloads import Download
from prunebench.api.events import Event
from prunebench.api.info import DataInfo
from prunebench.api.masks import Mask, Scores, Units
from prunebench.api.measurements import Analysis, Figure, Measurement
from prunebench.api.planning import Needs, Request
from prunebench.api.random import Rng
from prunebench.api.tickets import Inputs, State, Ticket
from prunebench.api.training import LossTerm, MaskUpdate
from prunebench.kernels.selection import keep_highest
from prunebench.testing import ToyData


class NetConfig(ComponentConfig):
    kind: Literal["dropout", "batch-norm", "unused", "skip", "gated", "dead"]


class Net:
    """Networks with what the toy network lacks: dropout, batch norm after a convolution, a layer off the path."""

    def __init__(self, config: NetConfig) -> None:
        self._kind = config.kind

    @hookimpl
    def prunebench_model(self, data_info: DataInfo) -> nn.Module:
        if self._kind == "dropout":
            return nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.Dropout(0.5), nn.ReLU(), nn.Linear(6, 3))
        if self._kind == "batch-norm":
            convolution = nn.Conv2d(1, 4, 3, padding=1, bias=False)
            return nn.Sequential(convolution, nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(32, 3))
        if self._kind in ("skip", "gated"):
            return Skip(0.0 if self._kind == "gated" else 1.0)
        if self._kind == "dead":
            dead = nn.Threshold(1e9, 0.0)  # as a ReLU whose inputs are all below 0
            return nn.Sequential(nn.Flatten(), nn.Linear(8, 6), dead, nn.Linear(6, 3))
        return WithUnused()


class WithUnused(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.unused = nn.Linear(8, 3), nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        out: Tensor = self.used(images.flatten(1))
        return out


class Skip(nn.Module):
    """A branch around which the input goes: without it the network is whole. A gate of 0 is one that starts so."""

    def __init__(self, gate: float) -> None:
        super().__init__()
        self.gate = nn.Parameter(torch.tensor(gate))
        self.branch, self.head = nn.Linear(8, 8), nn.Linear(8, 3)

    def forward(self, images: Tensor) -> Tensor:
        inputs = images.flatten(1)
        out: Tensor = self.head(inputs + self.gate * self.branch(inputs))
        return out


class Augmented:
    """ToyData whose training images get noise that depends on the seed of their batch alone."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_data(self) -> Data:
        data: Data = ToyData().prunebench_data()
        train = data["train"]
        assert isinstance(train, Resident)
        return replace(data, splits={**data.splits, "train": replace(train, augment=noise)})


def noise(images: Tensor, generator: torch.Generator) -> Tensor:
    return images + torch.randint(0, 40, images.shape, dtype=torch.uint8, generator=generator)


class FromFile:
    """ToyData, scaled by a number that a file under the data root holds."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_data(self, root: Path) -> Data:
        path = root / "scale.txt"
        if not path.is_file():
            raise DataMissing(f"from-file: no {path}")
        text = path.read_text()
        with (root / "reads.log").open("a") as log:
            log.write("read\n")
        data: Data = ToyData().prunebench_data()
        digest = hashlib.sha256((data.info.digest + text).encode()).hexdigest()
        train = data["train"]
        assert isinstance(train, Resident)
        scaled = replace(train, images=(train.images * float(text)).to(torch.uint8))
        info = replace(data.info, digest=digest, files=(str(path),))
        return Data(info, {**data.splits, "train": scaled})

    @hookimpl
    def prunebench_downloads(self, root: Path) -> Sequence[Download]:
        return []


class SquaresConfig(ComponentConfig):
    strength: float = 0.1
    kind: Literal["loss", "gradient"] = "loss"


class Squares:
    """strength / 2 * sum of the squared weights, added to the loss or as its gradient."""

    def __init__(self, config: SquaresConfig) -> None:
        self._strength, self._kind = config.strength, config.kind

    @hookimpl
    def prunebench_loss_terms(self, model: nn.Module) -> Sequence[LossTerm]:
        parameters = list(model.parameters())

        def loss(images: Tensor, logits: Tensor, targets: Tensor) -> Tensor:
            return torch.stack([p.square().sum() for p in parameters]).sum() * self._strength / 2

        @torch.no_grad()
        def gradient() -> None:
            for parameter in parameters:
                assert parameter.grad is not None
                parameter.grad.add_(parameter, alpha=self._strength)

        return [LossTerm(loss=loss) if self._kind == "loss" else LossTerm(gradient=gradient)]


class RegrowConfig(ComponentConfig):
    every: int = 5
    share: float = 0.3
    forget: int = 0
    """Units that are missing at the end."""
    wrong: bool = False
    """Return something else than a mask."""


class Regrow:
    """Drops the smallest weights and grows as many where the unmasked gradient is largest."""

    seen: list[dict[str, Any]] = []

    def __init__(self, config: RegrowConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_mask_updates(
        self, model: nn.Module, units: Units, mask: Mask, count: int, horizon: int
    ) -> Sequence[MaskUpdate]:
        config, started_with = self._config, mask.counts

        def update(step: int, mask: Mask, gradients: Mapping[str, Tensor]) -> Mask:
            if config.wrong:
                return Mask(mask.keep[:-1])
            target = count - config.forget
            # Layer by layer, so that what it does after a resume shows whether it was given the mask at the start.
            stays = round(target * (1 - config.share) * started_with[0] / sum(started_with))
            magnitude = units.reduce(lambda name, weight: weight.abs())
            kept = Mask(keep_highest(magnitude.values, mask.keep, min(mask.count, max(stays, 1))))
            dead = tuple(~k for k in kept.keep)
            steep = units.reduce(lambda name, weight: gradients[name].abs())
            grown = keep_highest(steep.values, dead, target - kept.count)
            new = Mask(tuple(k | g for k, g in zip(kept.keep, grown, strict=True)))
            Regrow.seen.append(
                {"step": step, "old": mask, "new": new, "gradients": {n: g.clone() for n, g in gradients.items()}}
            )
            return new

        return [MaskUpdate(lambda step: step % config.every == config.every - 1, update)]


class WrapConfig(ComponentConfig):
    times: float = 1.0
    plus: float = 0.0


class Wrap:
    """An affine wrapper: two of them do not commute."""

    def __init__(self, config: WrapConfig) -> None:
        self._config = config

    @hookimpl(wrapper=True)
    def prunebench_lr(self) -> Generator[None, float, float]:
        rate = yield
        return rate * self._config.times + self._config.plus


class ScoreConfig(ComponentConfig):
    kind: Literal[
        "short", "nan", "whole", "meddles", "raises", "exits", "killed", "nothing", "last-layer", "ramp", "thread"
    ]
    round: int = 1
    """The round in which it goes wrong; in others it scores by magnitude."""


class Score:
    """Scores that break their contract in one way or another, or end the process."""

    def __init__(self, config: ScoreConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_score(self, model: nn.Module, units: Units, mask: Mask | None, rng: Rng) -> Scores | None:
        magnitude = units.reduce(lambda name, weight: weight.abs())
        values = magnitude.values
        if self._config.kind == "last-layer":
            return Scores(tuple(torch.full_like(v, float(i)) for i, v in enumerate(values)))
        if self._config.kind == "ramp":
            return Scores(tuple(torch.arange(len(v), dtype=torch.float32) * 7 % 11 for v in values))
        if f"/score/{self._config.round}/" not in rng.name:
            return magnitude
        if self._config.kind == "short":
            return Scores((values[0][1:], *values[1:]))
        if self._config.kind == "nan":
            values[1][0] = float("nan")
            return magnitude
        if self._config.kind == "whole":
            return Scores(tuple(v.long() for v in values))
        if self._config.kind == "meddles":
            with torch.no_grad():
                next(model.parameters()).mul_(2)
            return magnitude
        if self._config.kind == "nothing":
            return None
        if self._config.kind == "thread":
            threading.Thread(target=_spoil_for_ever, daemon=True).start()
            return magnitude
        if self._config.kind == "exits":
            os._exit(7)
        if self._config.kind == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("this score always fails")


def _spoil_for_ever() -> None:
    while True:
        torch.set_default_dtype(torch.float64)
        time.sleep(0.001)


class SelectConfig(ComponentConfig):
    kind: Literal["revives", "writes-into-the-mask", "one-more", "list", "other-sizes"]


class Select:
    """Selections that break their contract."""

    def __init__(self, config: SelectConfig) -> None:
        self._kind = config.kind

    @hookimpl
    def prunebench_select(self, scores: Scores, mask: Mask, count: int, round: int) -> Any:
        right = Mask(keep_highest(scores.values, mask.keep, count))
        if self._kind == "writes-into-the-mask":
            for keep in mask.keep:
                keep.fill_(True)
            return Mask(keep_highest([-v if round == 2 else v for v in scores.values], mask.keep, count))
        if self._kind == "list":
            return list(right.keep)
        if self._kind == "other-sizes":
            return Mask(right.keep[:1])
        if self._kind == "one-more":
            return Mask(keep_highest(scores.values, mask.keep, count + 1))
        if round == 1:
            return right
        dead = [~keep for keep in mask.keep]
        revived = keep_highest([torch.ones_like(v) for v in scores.values], dead, 2)
        fewer = keep_highest(scores.values, mask.keep, count - 2)
        return Mask(tuple(a | b for a, b in zip(fewer, revived, strict=True)))


class EditConfig(ComponentConfig):
    kind: Literal["drops-a-unit", "reshapes", "nothing", "forgets-the-mask"]


class Edit:
    """Ticket edits that break their contract."""

    def __init__(self, config: EditConfig) -> None:
        self._kind = config.kind

    @hookimpl
    def prunebench_ticket(self, ticket: Ticket, fresh: Callable[[Rng], State]) -> Any:
        assert ticket.mask is not None
        if self._kind == "nothing":
            return None
        if self._kind == "forgets-the-mask":
            return replace(ticket, mask=None)
        if self._kind == "reshapes":
            return replace(ticket, weights={name: value.reshape(-1) for name, value in ticket.weights.items()})
        keep = [k.clone() for k in ticket.mask.keep]
        keep[0][int(keep[0].nonzero()[0])] = False
        return replace(ticket, mask=Mask(tuple(keep)))


class NormsConfig(ComponentConfig):
    kind: Literal["good", "nan", "list"] = "good"


class Norms:
    """The Euclidean norm of each judged run's end, and a figure."""

    def __init__(self, config: NormsConfig) -> None:
        self._kind = config.kind

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        return Needs({"ends": [evaluation.run.optimum for evaluation in request.evaluations]})

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs) -> Any:
        if self._kind == "list":
            return [1.0]
        norms = []
        for optimum in inputs["ends"]:
            squares = sum(float(w.double().square().sum()) for w in optimum.weights.values())
            value = float("nan") if self._kind == "nan" else squares**0.5
            norms.append(Measurement("norm", value, "", optimum.round, "end", "train"))
        svg = '<svg xmlns="http://www.w3.org/2000/svg"/>'
        return Analysis(tuple(norms), (Figure("norms", svg, "Nothing to see."),))


class Watch:
    """Remembers the events of a run."""

    events: list[Event] = []

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_track(self, event: Event) -> None:
        Watch.events.append(event)


@hookimpl
def prunebench_components() -> Iterator[Component]:
    yield Component("net", NetConfig, Net, version=1)
    yield Component("augmented", ComponentConfig, Augmented, version=1)
    yield Component("from-file", ComponentConfig, FromFile, version=1)
    yield Component("squares", SquaresConfig, Squares, version=1)
    yield Component("regrow", RegrowConfig, Regrow, version=1)
    yield Component("wrap", WrapConfig, Wrap, version=1)
    yield Component("odd-score", ScoreConfig, Score, version=1)
    yield Component("odd-select", SelectConfig, Select, version=1)
    yield Component("odd-edit", EditConfig, Edit, version=1)
    yield Component("norms", NormsConfig, Norms, version=1)
    yield Component("watch", ComponentConfig, Watch, version=1)
