"""The models and data sets of a file: each a component, whose keys stand beside those of the choice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import (
    AfterValidator,
    Field,
    ModelWrapValidatorHandler,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from prunebench.api.component import BoundComponent, Slot
from prunebench.api.problems import problems, refusal
from prunebench.api.recipe import Recipe
from prunebench.api.strict import StrictTable
from prunebench.benchmark import bounds


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError(f"must be of printable characters, not {name!r}")
    return name


Name = Annotated[str, Field(min_length=1, max_length=bounds.NAME), AfterValidator(_printable)]
"""What the results call something: a line of a table, a part of a file's name."""


class _Choice(StrictTable):
    """A component of the file that the results call by a label."""

    default: ClassVar[str | None] = None
    """The component where the file names none."""
    named_by: ClassVar[tuple[str, ...]]
    """The keys that a label is taken from where there is none, the first first."""

    label: Name

    @model_validator(mode="wrap")
    @classmethod
    def _keys_beside(cls, table: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        if not isinstance(table, Mapping) or isinstance(table.get("use"), BoundComponent):
            return handler(table)
        keys = with_default(table, cls.default)
        own = {key: keys[key] for key in cls.model_fields if key in keys and key != "use"}
        named = (str(keys[key]) for key in cls.named_by if keys.get(key))
        try:
            rest = {key: value for key, value in keys.items() if key not in own}
            return handler({"label": next(named, ""), **own, "use": rest})
        except ValidationError as error:
            wrong = problems(error)
        # A component's keys have the paths that they have in the file; a label that it would have given is not missing.
        unnamed = "label" not in keys and any(one.path[:1] == ("use",) for one in wrong)
        raise refusal(
            replace(one, path=one.path[1:]) if one.path[:1] == ("use",) else one
            for one in wrong
            if not (unnamed and one.path == ("label",))
        )

    @model_serializer(mode="wrap")
    def _flat(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        table: dict[str, Any] = handler(self)
        use = table.pop("use")
        return {**table, **use} if isinstance(use, dict) else {**table, "use": use}


class DataChoice(_Choice):
    """A data set of the file: a label for the results, and its component."""

    named_by = ("use",)

    use: Annotated[BoundComponent, Slot("data")]
    transform: Literal["model", "own"] = Field(
        "model", description="Whether images are prepared as a model asks whose weights were published."
    )
    """"own": as this table says, whatever a model asks."""


class ModelChoice(_Choice):
    """A model of the file: a label for the results, its component, and where its first weights come from."""

    default = "timm"
    named_by = ("name", "use")

    use: Annotated[BoundComponent, Slot("model")]
    init: Annotated[BoundComponent | None, Slot("init")] = None
    """What draws the first weights; the network's constructor where it is None."""
    pretrained: bool = Field(False, description="Start from the weights that were published with the network.")
    """A name with a tag, such as "resnet50.a1_in1k", says so itself."""
    revision: str | None = Field(None, min_length=1, max_length=bounds.NAME, pattern=r"^[\w.\-]+$")
    """Of the published weights: a commit or a tag of the hub; the newest where it is None."""
    weights: str | None = Field(None, description="A weight file to start from: below the data root, or pkg:...")
    """Read instead of drawn."""
    weights_by: Literal["name", "order"] = Field("name", description="How tensors of `weights` find the network's.")
    """"order": they are the network's in order and shape, under other names."""
    fresh_head: bool = Field(False, description="The classifier is drawn anew, whatever the file has for it.")
    """For a file of a network that tells other classes apart."""
    find: Recipe | None = None
    """How an entry's find runs train this model, where the model says something of it; None where it says nothing."""
    evaluate: Recipe | None = None
    """The same of the runs that judge."""

    @model_validator(mode="after")
    def _of_a_file(self) -> Self:
        if self.weights_by == "order" and self.weights is None:
            raise ValueError("weights_by: says how `weights` are read, and there are none")
        if self.revision is not None and self.weights is not None:
            raise ValueError("revision: is of weights that are fetched, and `weights` names a file")
        return self


def with_default(table: Mapping[str, Any], use: str | None) -> dict[str, Any]:
    """A table with the component that it stands for where it names none."""
    return dict(table) if use is None or "use" in table else {"use": use, **table}
