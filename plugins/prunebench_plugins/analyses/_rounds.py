"""Which rounds an analysis draws: a few evenly chosen ones, or those that a file states, such as a paper's panels."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from prunebench import ComponentConfig, PlanError


class DrawnRoundsConfig(ComponentConfig):
    """`rounds`: whose distributions are drawn, 0 for the dense network's; a few evenly chosen ones if left out.

    All rounds are measured.
    """

    rounds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | None = None

    @model_serializer(mode="wrap")
    def _without_the_default(self, rest: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # the field is younger than leaderboards whose keys must stand
        fields: dict[str, Any] = rest(self)
        return {name: value for name, value in fields.items() if (name, value) != ("rounds", None)}

    def check(self, who: str, there: Iterable[int]) -> None:
        """Raises PlanError, naming the component, if a stated round is not there to be drawn."""
        known = list(there)
        absent = [round for round in self.rounds or () if round not in known]
        if absent:
            raise PlanError(
                f"{who}: rounds: {', '.join(map(str, absent))} cannot be drawn; the entry has "
                f"{', '.join(map(str, known))}"
            )
