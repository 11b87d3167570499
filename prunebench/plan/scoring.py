"""What a score that reads no data needs: enough to ask it of a fresh network while planning."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prunebench.api.component import BoundComponent
from prunebench.api.info import DataInfo


@dataclass(frozen=True)
class Scoring:
    """A score of a network's units."""

    data: DataInfo
    task: BoundComponent
    units: BoundComponent
    score: BoundComponent

    @property
    def identity(self) -> list[Any]:
        """All that the answer depends on, beside the network: JSON."""
        return [
            list(self.data.shape),
            self.data.classes,
            self.task.trained_json(),
            self.units.to_json(),
            self.score.to_json(),
        ]
