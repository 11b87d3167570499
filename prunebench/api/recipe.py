"""How a run trains."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from prunebench.api.component import BoundComponent
from prunebench.api.positions import Position


class Stretch(BaseModel):
    """A horizon that a ticket's mask decides: `of`, times what training a step of it saves.

    "macs-ratio" is the dense network's multiply-accumulates over the masked one's, so that both get the same work;
    `at_most` caps it, as Liu et al. 2019 (Scratch-B) do at 2.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True)

    of: Position
    times: Literal["macs-ratio"]
    at_most: float | None = Field(None, ge=1)


@dataclass(frozen=True, eq=False)
class Recipe:
    """How one kind of run trains."""

    horizon: Position
    stop: Position | None
    batch: int
    optimizer: BoundComponent
    lr: tuple[BoundComponent, ...]
    loss: tuple[BoundComponent, ...]
    mask_updates: tuple[BoundComponent, ...]
    label_smoothing: float
    max_gradient_norm: float | None
    optimizer_state: Literal["fresh", "with-weights"]
    stretch: Stretch | None = None
    """How the mask that is trained lengthens the horizon; None where it does not."""
    shrunk: bool = False
    """Whether what is pruned is taken out before training, instead of held at zero."""

    def replace(self, **changes: Any) -> Recipe:
        """This recipe with some fields changed; for schedules that retrain differently."""
        return replace(self, **changes)
