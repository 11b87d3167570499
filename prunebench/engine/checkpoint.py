"""Where a run was left, as bytes: a JSON head, whose length comes first, and tensors. Nothing is pickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from prunebench.api.masks import Mask
from prunebench.engine.curves import Points
from prunebench.engine.optimizer_state import OptimizerState
from prunebench.engine.workbench import pack_mask, unpack_mask
from prunebench.store.tensors import dump_tensors, load_tensors


@dataclass(frozen=True)
class Checkpoint:
    """Enough to go on to the same bits.

    Args:
        position: steps done.
        points: what was measured, by curve.
        model: the state of the network that trains, a smaller one where units were taken out.
        average: the state of the averaged network, if there is one.
        pruned: what pruned weights would be, where a rule lets their values live on.
        rules: the tensors that rules which change the mask keep, each after the rule's number.
    """

    position: int
    points: Mapping[str, Points]
    model: Mapping[str, Tensor]
    optimizer: OptimizerState
    mask: Mask | None
    average: Mapping[str, Tensor] = field(default_factory=dict)
    pruned: Mapping[str, Tensor] = field(default_factory=dict)
    rules: Mapping[str, Tensor] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """For the store's scratch space."""
        tensors = {f"model/{name}": tensor for name, tensor in self.model.items()}
        tensors |= {f"optimizer/{name}": tensor for name, tensor in self.optimizer.tensors.items()}
        for part in ("average", "pruned", "rules"):
            tensors |= {f"{part}/{name}": tensor for name, tensor in getattr(self, part).items()}
        if self.mask is not None:
            tensors |= {f"mask/{name}": tensor for name, tensor in pack_mask(self.mask).items()}
        head = {"position": self.position, "points": self.points, "groups": self.optimizer.groups}
        text = json.dumps(head).encode()
        return len(text).to_bytes(8, "little") + text + dump_tensors(tensors)

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """Back from `to_bytes`."""
        size = int.from_bytes(data[:8], "little")
        head = json.loads(data[8 : 8 + size])
        parts: dict[str, dict[str, Tensor]] = {
            part: {} for part in ("model", "optimizer", "mask", "average", "pruned", "rules")
        }
        for name, tensor in load_tensors(data[8 + size :]).items():
            part, _, rest = name.partition("/")
            parts[part][rest] = tensor
        mask = unpack_mask(parts["mask"]) if parts["mask"] else None
        optimizer = OptimizerState(parts["optimizer"], head["groups"])
        model, more = parts["model"], (parts["average"], parts["pruned"], parts["rules"])
        return cls(head["position"], head["points"], model, optimizer, mask, *more)
