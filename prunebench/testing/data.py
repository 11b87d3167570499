"""Data and a network small enough to reason about."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import numpy as np
import torch
from torch import nn

from prunebench import ComponentConfig, hookimpl
from prunebench.api.data import Data, Resident
from prunebench.api.info import DataInfo
from prunebench.api.masks import Mask, Units
from prunebench.api.random import Rng
from prunebench.kernels.weight_units import WeightUnits, layer_weights


class ToyData:
    """A data set of three classes on images of 1 x 2 x 4 pixels that a linear classifier tells apart."""

    def __init__(self, config: ComponentConfig | None = None) -> None:
        pass

    @hookimpl
    def prunebench_data(self) -> Data:
        """96 training, 24 validation and 24 test images: each class lights two columns of its own, with noise."""
        lit = np.zeros((3, 2, 4), np.int64)
        lit[0, :, :2], lit[1, :, 1:3], lit[2, :, 2:] = 150, 150, 150
        labels = np.arange(144) % 3
        noise = Rng("prunebench/toy-data").numpy().bit_generator.random_raw(144 * 8).reshape(144, 2, 4) % 64
        images = (lit[labels] + noise.astype(np.int64)).astype(np.uint8)
        digest = hashlib.sha256(images.tobytes() + labels.astype(np.uint8).tobytes()).hexdigest()
        splits = {
            name: Resident(
                torch.from_numpy(images[start:stop].copy())[:, None],
                torch.from_numpy(labels[start:stop].astype(np.int64)),
                (0.42,),
                (0.3,),
            )
            for name, start, stop in (("train", 0, 96), ("valid", 96, 120), ("test", 120, 144))
        }
        sizes = {name: split.size for name, split in splits.items()}
        return Data(DataInfo("toy", digest, sizes, (1, 2, 4), 3), splits)


def two_layer_net() -> nn.Sequential:
    """A network for ToyData, always the same: 48 weights in fc1, 18 in fc2, and biases."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = {"flatten": nn.Flatten(), "fc1": nn.Linear(8, 6), "relu": nn.ReLU(), "fc2": nn.Linear(6, 3)}
        return nn.Sequential(OrderedDict(layers))


def weight_units(model: nn.Module) -> WeightUnits:
    """One unit per weight of every linear and convolutional layer, the classifier included."""
    return WeightUnits(model, layer_weights(model))


def some_mask(units: Units, count: int, name: str = "mask", of: Mask | None = None) -> Mask:
    """A random mask of `count` units, a subset of `of`; another one for each name."""
    alive = np.arange(units.count) if of is None else np.flatnonzero(of.flat().numpy())
    keep = torch.zeros(units.count, dtype=torch.bool)
    keep[torch.from_numpy(alive[Rng(name).permutation(len(alive))[:count]])] = True
    return Mask.from_flat(keep, units.layers)
