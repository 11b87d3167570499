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
from prunebench.api.strict import EarlyKey, InWords, StrictTable
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

    label: Annotated[Name, InWords(default="a model's `name`, the data's `use`")] = Field(examples=["small"])
    """What the results call it; must be unique in the file."""

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

    use: Annotated[BoundComponent, Slot("data")] = Field(examples=["mnist5k"])
    """The component that gives the data; its own keys stand beside it."""
    transform: Literal["model", "own"] = "model"
    """Whether images are prepared as a network with published weights was trained, or as the table says."""


class ModelChoice(_Choice):
    """A model of the file: a label for the results, its component, and where its first weights come from."""

    default = "timm"
    named_by = ("name", "use")
    more_keys: ClassVar[Mapping[str, EarlyKey]] = {
        "train": EarlyKey("recipe", "none", "What is this model's own of both recipes.", "train.batch = 64"),
    }

    use: Annotated[BoundComponent, Slot("model"), InWords(default='`"timm"`')] = Field(examples=["timm"])
    """The component that builds the network; its own keys stand beside it."""
    init: Annotated[BoundComponent | None, Slot("init"), InWords(default="what the constructor draws")] = Field(
        None, examples=["kaiming_normal"]
    )
    """How the first weights are drawn."""
    pretrained: bool = False
    """Start from the weights that were published with the network; a tag behind its name, as in `resnet50.a1_in1k`,
    says so too."""
    revision: str | None = Field(
        None, min_length=1, max_length=bounds.NAME, pattern=r"^[\w.\-]+$", examples=["0123abc"]
    )
    """Of published weights: a commit or a tag of the hub; the newest if left out."""
    weights: Annotated[str | None, InWords(type="path below the data root, or pkg:PACKAGE/PATH")] = Field(
        None, examples=["weights/resnet20.safetensors"]
    )
    """A file that the first weights are read from, the same for every seed: safetensors, or the tensors of a file of
    torch.save."""
    weights_by: Literal["name", "order"] = "name"
    """How tensors of `weights` find the network's; "order": they are the network's in order and shape, under other
    names."""
    fresh_head: bool = False
    """With `weights` or published ones: the classifier is drawn anew for each seed, whatever the file has for it, as
    for data with other classes."""
    find: Annotated[Recipe | None, InWords(type="recipe")] = Field(None, examples=[{"optimizer": {"lr": 0.2}}])
    """What is this model's own of the recipe that finds tickets."""
    evaluate: Annotated[Recipe | None, InWords(type="recipe")] = Field(None, examples=[{"optimizer": {"lr": 0.05}}])
    """What is this model's own of the recipe that judges them."""

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
