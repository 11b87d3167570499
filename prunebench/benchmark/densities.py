"""How far an entry is pruned: the keys `cut`, `rounds`, `densities` and `density_of`, of a file and of its entries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import Field, GetCoreSchemaHandler, field_validator
from pydantic_core import CoreSchema, core_schema

from prunebench.api.cost_share import Cost
from prunebench.api.problems import shortened
from prunebench.api.strict import InWords, Number, StrictTable, Whole
from prunebench.benchmark import bounds
from prunebench.benchmark.toml import Printed


@dataclass(frozen=True)
class Density:
    """A density as the file prints it."""

    value: float
    text: str

    @classmethod
    def parse(cls, value: object) -> Density:
        """Read a density. Raises ValueError unless it is a fraction kept."""
        if isinstance(value, Density):
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
            text = value if isinstance(value, int | float) else shortened(value)
            raise ValueError(f"{text} is not a density: a fraction kept, above 0 and at most 1")
        return cls(float(value), value.text if isinstance(value, Printed) else str(value))

    @property
    def decimals(self) -> int:
        """Digits after the point, which a round's density must match."""
        mantissa, _, exponent = self.text.lower().partition("e")
        return max(0, len(mantissa.partition(".")[2]) - int(exponent or 0))

    def __str__(self) -> str:
        return self.text

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls.parse,
            serialization=core_schema.plain_serializer_function_ser_schema(lambda density: density.value),
            json_schema_input_schema=core_schema.float_schema(gt=0, le=1),
        )


DensityOf: TypeAlias = Literal["units", "parameters", "macs"]


class ChainKeys(StrictTable):
    """What says how often and how far an entry is pruned, and which rounds are judged."""

    cut: Number | None = Field(None, gt=0, lt=1, examples=[0.2])
    """The share of the survivors that a round removes."""
    rounds: Whole | None = Field(None, ge=0, le=bounds.ROUNDS, examples=[10])
    """How many rounds prune; needed with `cut`."""
    densities: Annotated[tuple[Density, ...] | None, InWords(default="all rounds")] = Field(
        None, max_length=bounds.DENSITIES, examples=[[0.512, 0.107]]
    )
    """The densities to judge: with `cut` and `rounds` it chooses among the rounds, alone each is a round of its own."""
    density_of: Annotated[DensityOf | None, InWords(default='`"units"`')] = Field(None, examples=["macs"])
    """What densities and cuts are shares of: units, or a cost of the dense network (`macs` are the multiply-accumulates
    of one example), for which each pruning finds the number of units that leaves it."""

    @property
    def cost(self) -> Cost | None:
        """The cost that densities and cuts are shares of; None where they are of units."""
        return None if self.density_of == "units" else self.density_of

    @field_validator("density_of", mode="before")
    @classmethod
    def _counted(cls, of: object) -> object:
        if of == "latency":
            raise ValueError(
                "a latency is measured, and another machine or another minute measures another one, so no mask can be "
                'solved for it twice; ask for "macs", and rank by `axis = "latency"`'
            )
        return of

    @field_validator("densities")
    @classmethod
    def _distinct(cls, densities: tuple[Density, ...] | None) -> tuple[Density, ...] | None:
        if densities == ():
            raise ValueError("the list is empty; leave it out to evaluate every round")
        if densities is not None and len({density.value for density in densities}) < len(densities):
            raise ValueError("a density is given twice")
        return densities


CHAIN_KEYS = tuple(ChainKeys.model_fields)
