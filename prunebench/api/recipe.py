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
from prunebench.api.strict import InWords, Number, StrictTable, Switch, Whole


class Stretch(StrictTable):
    """A horizon that a ticket's mask decides: `of`, times what training a step of it saves.

    Source: Liu et al. 2019, Scratch-B.
    """

    of: Position = Field(examples=["160ep"])
    """The horizon of the dense network."""
    times: Literal["macs-ratio"]
    """"macs-ratio" is the dense network's multiply-accumulates over the masked one's: both get the same work."""
    at_most: Number | None = Field(None, ge=1, examples=[2])
    """The largest factor; the source takes 2."""


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

    stated_horizon: Annotated[Horizon, InWords(type="position in iterations or epochs, or a table")] = Field(
        alias="horizon", examples=["20ep", {"of": "160ep", "times": "macs-ratio", "at_most": 2}]
    )
    """Where the learning-rate clock ends, or the table that lengthens it by what a mask saves."""
    stop: Annotated[Position | None, InWords(default="the horizon")] = Field(None, examples=["5ep"])
    """Where a run ends; past the horizon is an error."""
    batch: Whole = Field(gt=0, examples=[128])
    """Examples in a batch; an incomplete last batch of an epoch is dropped."""
    optimizer: Annotated[BoundComponent, Slot("optimizer")] = Field(
        examples=[{"use": "sgd", "lr": 0.1, "momentum": 0.9}]
    )
    """The optimizer, with the base learning rate."""
    lr: Annotated[tuple[BoundComponent, ...], Slot("lr", many=True), InWords(default='`["constant"]`')] = Field(
        default_factory=lambda: ("constant",),
        validate_default=True,
        examples=[["cosine", {"use": "warmup", "over": "1ep"}]],
    )
    """One base schedule of the learning rate, and wrappers such as `warmup` and `scale`; `repeat` starts what stands
    before it over and over."""
    loss: Annotated[tuple[BoundComponent, ...], Slot("loss", many=True)] = Field(
        (), examples=[{"use": "gamma-l1", "strength": 1e-4}]
    )
    """Terms that are added to the loss."""
    mask_updates: Annotated[tuple[BoundComponent, ...], Slot("mask_updates", many=True)] = Field((), examples=["rigl"])
    """Rules that change the mask while training."""
    transforms: Annotated[tuple[BoundComponent, ...], Slot("transforms", many=True)] = Field(
        (), examples=[["mixup", "random-erasing"]]
    )
    """What changes each batch before the network sees it, in order, such as mixing its examples."""
    label_smoothing: Number = Field(0.0, ge=0, lt=1, examples=[0.1])
    """Of the task's objective, where it has any, as classification does."""
    max_gradient_norm: Number | None = Field(None, gt=0, examples=[1.0])
    """Clips the norm of the masked gradient."""
    accumulate: Whole = Field(1, gt=0, examples=[4])
    """In how many equal parts a batch passes through the network; their gradients are added up. The mean over the batch
    stays the same, and memory is that of one part; batch norm sees a part at a time."""
    average: Number | None = Field(None, gt=0, lt=1, examples=[0.9999])
    """The decay of a moving average of the weights, one step of it after each of the run's, which is then what is
    measured, judged and taken into tickets."""
    optimizer_state: Literal["fresh", "with-weights"] = "fresh"
    """Whether the optimizer starts anew, or with the state that belongs to the weights."""
    shrunk: Switch = False
    """Whether what is pruned is taken out before a ticket is trained, instead of held at zero: faster, equal but for
    rounding. Needs units that can be taken out, such as channels."""
    numerics: Literal["float32", "tf32", "bf16"] = "float32"
    """What the forward and backward pass compute in; all else is float32."""
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    """How images and convolutions lie in memory while training; "channels_last" needs images."""
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
