"""The lines of `details.jsonl`, behind the rows: an evaluated ticket or an analysis each. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_serializer, field_validator

from prunebench.api.rows import Record


class LayerCount(Record):
    """One prunable layer of a ticket: how many units it has, and how many are kept (None where no ticket exists)."""

    name: str
    units: int
    kept: int | None


class CurvePoint(Record):
    """What was measured at one iteration of a run: values by "SPLIT/METRIC", None where a number is not finite."""

    iteration: int
    values: Mapping[str, float | None]


class EvaluationDetail(Record):
    """One evaluated ticket.

    Attributes:
        round, draw: which ticket.
        key: of the run that judged it.
        start, stop: iterations of the run's clock.
        layers: units kept, layer by layer.
        curve: what was measured while it trained.
        correct: which test examples the judged network has right, one bit each in base64, the first in the highest;
            None where the task has no such notion. "hits" in the file.
        artifacts: addresses in the store of the run's curve, mask and first weights.
    """

    kind: Literal["evaluation"]
    entry: str
    model: str
    data: str
    seed: int
    round: int
    draw: int
    key: str
    start: int
    stop: int
    layers: tuple[LayerCount, ...]
    curve: tuple[CurvePoint, ...]
    correct: str | None = Field(default=None, alias="hits")
    artifacts: Mapping[str, str | None]

    @field_validator("curve", mode="before")
    @classmethod
    def _points(cls, points: Any) -> Any:
        """In the file a point is one flat object: `{"iteration": 100, "test/accuracy": 0.9}`."""
        if not isinstance(points, list | tuple):
            return points
        return tuple(
            {"iteration": p.get("iteration"), "values": {k: v for k, v in p.items() if k != "iteration"}}
            if isinstance(p, Mapping)
            else p
            for p in points
        )

    @field_serializer("curve")
    def _flat(self, curve: tuple[CurvePoint, ...]) -> list[dict[str, Any]]:
        return [{"iteration": point.iteration, **point.values} for point in curve]


class FigureDetail(Record):
    """A picture of an analysis, as SVG text."""

    name: str
    caption: str
    svg: str


class AnalysisDetail(Record):
    """One analysis of a trial, with its figures; its numbers are rows."""

    kind: Literal["analysis"]
    entry: str
    model: str
    data: str
    seed: int
    analysis: str
    key: str
    figures: tuple[FigureDetail, ...]


Detail = Annotated[EvaluationDetail | AnalysisDetail, Field(discriminator="kind")]
