"""Published results that a file is held against: the tables `[[expect]]`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from prunebench.api.positions import Position
from prunebench.api.strict import InWords, Number, StrictTable, Switch, Whole


class Than(StrictTable):
    """What differs on the losing side of an expectation; what is not stated is as on the winning side."""

    metric: Annotated[str | None, InWords(type="metric")] = Field(None, examples=["movement/pruned/absolute"])
    """By what the losing side is read."""
    density: Number | None = Field(None, examples=[0.512])
    """At which density."""
    round: Whole | None = Field(None, ge=0, examples=[1])
    """In which round; instead of `density`."""
    position: Annotated[str | None, InWords(type='position, `"start"` or `"end"`')] = Field(None, examples=["500it"])
    """At which point of a run."""
    value: Number | None = Field(None, examples=[1.0])
    """A fixed number takes the place of the losing side."""

    @field_validator("position")
    @classmethod
    def _known_position(cls, position: str | None) -> str | None:
        return expected_position(position)

    @model_validator(mode="after")
    def _something_differs(self) -> Than:
        stated = {name for name in type(self).model_fields if getattr(self, name) is not None}
        if not stated:
            raise ValueError("state what differs: metric, density, round, position, or a fixed value")
        if "value" in stated and len(stated) > 1:
            raise ValueError("a fixed value has no metric, density, round or position")
        return self


class Expect(StrictTable):
    """A published result that the file is held against."""

    source: str = Field(examples=["Renda et al. 2020"])
    """Where it is published."""
    claim: str = Field(examples=["late rewinding beats rewinding to init"])
    """What is said there."""
    better: Annotated[str, InWords(type="name of an entry")] = Field(examples=["imp"])
    """The entry that should win."""
    worse: Annotated[str, InWords(type="name of an entry", default="`better`, beside `than`")] = Field(
        "", examples=["imp-init"]
    )
    """The entry that should lose; may be left out beside `than`."""
    metric: Annotated[str, InWords(type="metric", default="the task's primary metric on test")] = Field(
        "", examples=["test/loss", "movement/ratio", "smallest_matching_density"]
    )
    """By what the two sides are compared."""
    density: Annotated[Number | None, InWords(default="all that both have")] = Field(None, examples=[0.168])
    """At which density."""
    round: Annotated[Whole | None, InWords(default="all that both have")] = Field(None, ge=0, examples=[3])
    """In which round; instead of `density`."""
    position: Annotated[str | None, InWords(type='position, `"start"` or `"end"`', default="the end")] = Field(
        None, examples=["500it"]
    )
    """At which point of a run."""
    than: Annotated[Than | None, InWords(type="table")] = Field(None, examples=[{"value": 1.0}])
    """What differs on the losing side: `metric`, `density`, `round`, `position`; or a fixed `value`."""
    published: Annotated[
        dict[Literal["better", "worse", "difference", "ratio"], Number], InWords(type="table of numbers")
    ] = Field(default_factory=dict, examples=[{"better": 0.9131, "worse": 0.8856}, {"difference": 0.034}])
    """The published numbers: both sides, or where only that is printed their `difference` (better minus worse) or their
    `ratio` (better over worse)."""
    equal_within: Number | None = Field(None, gt=0, examples=[0.01])
    """The two sides are expected to be equal: to differ by less than this, in the metric's unit."""
    equal_within_share: Number | None = Field(None, gt=0, lt=1, examples=[0.1])
    """The same, as a share of the losing side: 0.1 where they are to differ by less than a tenth of it."""
    judge: Switch = True
    """`false` where the file's recipe is not the paper's: the difference is shown, not judged."""

    @field_validator("position")
    @classmethod
    def _known_position(cls, position: str | None) -> str | None:
        return expected_position(position)

    @model_validator(mode="before")
    @classmethod
    def _worse_is_better_itself(cls, stated: Any) -> Any:
        if isinstance(stated, Mapping) and "than" in stated and "worse" not in stated and "better" in stated:
            return {**stated, "worse": stated["better"]}
        return stated

    @model_validator(mode="after")
    def _two_sides(self) -> Expect:
        if not self.worse:
            raise ValueError("worse: missing; name an entry, or say with `than` what differs")
        if self.than is None and self.worse == self.better:
            raise ValueError(f'"{self.better}" is compared with itself; say with `than` what differs')
        if self.than is not None and self.than.value is not None and self.worse != self.better:
            raise ValueError(f'worse: "{self.worse}" and a fixed value; leave one of the two out')
        stated = self.published
        if stated.get("ratio", 1) <= 0:
            raise ValueError("published.ratio: must be greater than 0")
        apart = abs(stated.get("difference", 0.0))
        if "better" in stated and "worse" in stated:
            apart = abs(stated["better"] - stated["worse"])
        if self.equal_within is not None and apart > self.equal_within:
            raise ValueError(
                f"equal_within: the published numbers are {apart:g} apart, which is a direction; state a margin "
                "of at least that, or leave it out"
            )
        if self.equal_within is not None and self.equal_within_share is not None:
            raise ValueError("equal_within and equal_within_share: state one of the two")
        for side in (self, self.than):
            if side is not None and side.density is not None and side.round is not None:
                raise ValueError("density and round: state one of the two")
        return self

    def sides(self) -> list[tuple[str, str, str, str | None]]:
        """What is read of the results: (key of the file, entry, metric, position) of each side that is measured."""
        sides = [("metric", self.better, self.metric, self.position)]
        if self.than is None or self.than.value is None:
            than = self.than or Than.model_construct()
            key = "metric" if than.metric is None else "than.metric"
            sides.append((key, self.worse, than.metric or self.metric, than.position or self.position))
        return sides


def expected_position(position: str | None) -> str | None:
    """A position of an expectation as it is stated. Raises ValueError unless it is one, "start" or "end"."""
    if position not in (None, "start", "end"):
        Position.parse(position)
    return position


SMALLEST = "smallest_matching_density"
"""The metric of an expectation that is made of another, written after it: test/loss/smallest_matching_density."""
