"""What a phase produces: for each of its outputs, files and metadata for the store."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from prunebench.api.masks import Mask, Units
from prunebench.api.tickets import State
from prunebench.engine.workbench import mask_meta, pack_mask
from prunebench.store.tensors import dump_tensors

Files = tuple[dict[str, bytes], dict[str, Any]]
"""The files of one output, by name, and its metadata."""

Produced = dict[str, Files]
"""The outputs of a phase, by part."""


def weights_files(state: State) -> Files:
    """Weights as an output."""
    return {"weights.safetensors": dump_tensors(state)}, {}


def mask_files(mask: Mask, units: Units, model: nn.Module, example: Tensor) -> Files:
    """A mask as an output, with what it leaves of the network. `example` is a batch of one as the model takes it."""
    return {"mask.safetensors": dump_tensors(pack_mask(mask))}, mask_meta(mask, units, model, example)
