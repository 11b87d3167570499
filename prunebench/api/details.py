"""The lines of `details.jsonl`, behind the rows: an evaluated ticket or an analysis each. No torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, WithJsonSchema, field_serializer, field_validator

from prunebench.api.rows import Number, Record, Whole


class LayerCount(Record):
    """One prunable layer of a ticket.

    Attributes:
        name: of the layer in the network.
        units: how many units it has.
        kept: how many of them are kept; null where no ticket exists.
    """

    name: str
    units: Whole
    kept: Whole | None


class CurvePoint(Record):
    """What was measured at one iteration of a run; in the file one flat object of both fields.

    Attributes:
        iteration: of the run's clock.
        values: by "SPLIT/METRIC", each in the unit of the rows of that metric; null where a number is not finite.
    """

    iteration: Whole
    values: Mapping[str, Number | None]


_FLAT_POINTS = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"iteration": {"type": "integer"}},
        "required": ["iteration"],
        "additionalProperties": {"type": ["number", "null"]},
    },
}


class EvaluationDetail(Record):
    """One evaluated ticket.

    Attributes:
        kind: "evaluation".
        entry, model, data, seed: the trial, as in the rows.
        round, draw: which of its tickets, as in the rows.
        key: of the run that judged it, 64 hex digits.
        start, stop: the first and the last iteration of the run's clock.
        layers: units kept, layer by layer, in the order of the network.
        curve: what was measured while it trained, by rising iteration.
        correct: which test examples the judged network has right, one bit each in base64, the first in the highest;
            null where the task has no such notion. "hits" in the file.
        artifacts: addresses in the store of the run's "curve", "mask" and first "weights"; null where there is none.
    Invariants:
        No two details have the same kind, entry, model, data, seed, key, round and draw.
    """

    kind: Literal["evaluation"]
    entry: str
    model: str
    data: str
    seed: Whole
    round: Whole
    draw: Whole
    key: str
    start: Whole
    stop: Whole
    layers: tuple[LayerCount, ...]
    curve: Annotated[tuple[CurvePoint, ...], WithJsonSchema(_FLAT_POINTS)]
    correct: str | None = Field(default=None, alias="hits")
    artifacts: Mapping[str, str | None]

    @field_validator("curve", mode="before")
    @classmethod
    def _points(cls, points: Any) -> Any:
        """In the file a point is one flat object: `{"iteration": 100, "test/loss": 0.3}`."""
        if not isinstance(points, list | tuple):
            return points
        return tuple(
            {"iteration": p.get("iteration"), "values": {k: v for k, v in p.items() if k != "iteration"}}
            if type(p) is dict or isinstance(p, Mapping)
            else p
            for p in points
        )

    @field_serializer("curve")
    def _flat(self, curve: tuple[CurvePoint, ...]) -> list[dict[str, Any]]:
        return [{"iteration": point.iteration, **point.values} for point in curve]


class FigureDetail(Record):
    """A picture of an analysis.

    Attributes:
        name: which of the analysis's pictures.
        caption: what it shows, in a sentence.
        svg: the picture.
    """

    name: str
    caption: str
    svg: str


class AnalysisDetail(Record):
    """One analysis of a trial, with its figures; its numbers are rows.

    Attributes:
        kind: "analysis".
        entry, model, data, seed: the trial, as in the rows.
        analysis: the name of the analysis.
        key: of the phase that measured it, 64 hex digits.
        figures: its pictures.
    Invariants:
        No two details have the same kind, entry, model, data, seed, key and analysis.
    """

    kind: Literal["analysis"]
    entry: str
    model: str
    data: str
    seed: Whole
    analysis: str
    key: str
    figures: tuple[FigureDetail, ...]


Detail = Annotated[EvaluationDetail | AnalysisDetail, Field(discriminator="kind")]
