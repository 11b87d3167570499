"""How a run trains: every field of a recipe is declared here, once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from prunebench.api.component import Binder, BoundComponent, Slot
from prunebench.api.errors import PlanError
from prunebench.api.positions import Position
from prunebench.api.problems import problems
from prunebench.api.strict import Number, StrictTable, Switch, Whole


class Stretch(StrictTable):
    """A horizon that a ticket's mask decides: `of`, times what training a step of it saves.

    "macs-ratio" is the dense network's multiply-accumulates over the masked one's, so that both get the same work;
    `at_most` caps it, as Liu et al. 2019 (Scratch-B) do at 2.
    """

    of: Position
    times: Literal["macs-ratio"]
    at_most: Number | None = Field(None, ge=1)


def _horizon(value: object) -> Position | Stretch:
    """A position, or the table of a stretched one: an error is of the one that was meant."""
    if isinstance(value, Stretch):
        return value
    return Stretch.model_validate(value) if isinstance(value, Mapping) else Position.parse(value)


Horizon = Annotated[
    Position | Stretch,
    PlainValidator(_horizon, json_schema_input_type=Position | Stretch),
    PlainSerializer(lambda horizon: horizon.model_dump(mode="json") if isinstance(horizon, Stretch) else str(horizon)),
]


class Recipe(StrictTable):
    """How one kind of run trains: `[train]`, `[find]` and `[evaluate]`, merged."""

    stated_horizon: Horizon = Field(alias="horizon")
    """Where the learning-rate clock ends, or what decides it once a mask is there."""
    stop: Position | None = None
    batch: Whole = Field(gt=0)
    optimizer: Annotated[BoundComponent, Slot("optimizer")]
    lr: Annotated[tuple[BoundComponent, ...], Slot("lr", many=True)] = Field(
        default_factory=lambda: ("constant",), validate_default=True
    )
    loss: Annotated[tuple[BoundComponent, ...], Slot("loss", many=True)] = ()
    mask_updates: Annotated[tuple[BoundComponent, ...], Slot("mask_updates", many=True)] = ()
    transforms: Annotated[tuple[BoundComponent, ...], Slot("transforms", many=True)] = ()
    """What changes each batch before the network sees it, such as mixing its examples."""
    label_smoothing: Number = Field(0.0, ge=0, lt=1)
    max_gradient_norm: Number | None = Field(None, gt=0)
    accumulate: Whole = Field(1, gt=0)
    """In how many parts a batch passes through the network: their gradients are added up, and memory is that of one."""
    average: Number | None = Field(None, gt=0, lt=1)
    """The decay of a moving average of the weights, which is then what is judged and goes into tickets."""
    optimizer_state: Literal["fresh", "with-weights"] = "fresh"
    shrunk: Switch = False
    """Whether what is pruned is taken out before training, instead of held at zero."""
    numerics: Literal["float32", "tf32", "bf16"] = "float32"
    """What the forward and backward pass compute in; all else is float32."""
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    compile: Switch = False
    """Whether the network is trained through torch.compile."""

    @field_validator("stated_horizon")
    @classmethod
    def _absolute(cls, horizon: Position | Stretch) -> Position | Stretch:
        position = horizon.of if isinstance(horizon, Stretch) else horizon
        if position.unit == "%":
            raise ValueError(f'"{position}" would be a share of itself: write iterations or epochs')
        return horizon

    @field_validator("stop")
    @classmethod
    def _not_past_the_horizon(cls, stop: Position | None) -> Position | None:
        if stop is not None and stop.unit == "%" and stop.amount > 100:
            raise ValueError(f'"{stop}" is past the horizon')
        return stop

    @field_validator("lr")
    @classmethod
    def _one_rate(cls, pieces: tuple[BoundComponent, ...], info: ValidationInfo) -> tuple[BoundComponent, ...]:
        binder: Binder | None = info.context
        if binder is not None and "optimizer" in info.data:
            binder.check_rate(info.data["optimizer"], pieces)
        return pieces

    @model_validator(mode="after")
    def _fit_together(self) -> Recipe:
        if self.batch % self.accumulate:
            raise ValueError(f"accumulate: a batch of {self.batch:,} has no {self.accumulate:,} equal parts")
        if self.average is not None and self.optimizer_state == "with-weights":
            raise ValueError(
                'optimizer_state: "with-weights" goes on from the weights that the optimizer left, and `average` gives '
                'averaged ones; write "fresh"'
            )
        return self

    @property
    def horizon(self) -> Position:
        """Where the clock ends, before a mask lengthens it."""
        return self.stated_horizon.of if isinstance(self.stated_horizon, Stretch) else self.stated_horizon

    @property
    def stretch(self) -> Stretch | None:
        """How the mask that is trained lengthens the horizon; None where it does not."""
        return self.stated_horizon if isinstance(self.stated_horizon, Stretch) else None

    def replace(self, **changes: Any) -> Recipe:
        """This recipe with some keys changed; for schedules that retrain differently. A stretch stays one.

        Raises:
            PlanError: a key that no recipe has, or a value that it cannot have.
        """
        stated = {field.alias or name: getattr(self, name) for name, field in type(self).model_fields.items()}
        if self.stretch is not None and isinstance(changes.get("horizon"), Position):
            changes["horizon"] = self.stretch.model_copy(update={"of": changes["horizon"]})
        try:
            return type(self).model_validate({**stated, **changes})
        except ValidationError as error:
            raise PlanError("; ".join(one.at("") for one in problems(error))) from None
