"""A recipe: declared once, read from a table, changed by schedules, and what a run's key holds of it."""

from typing import Any

import pytest
from pydantic import ValidationError

from prunebench.api.errors import PlanError
from prunebench.api.positions import Position
from prunebench.api.problems import problems
from prunebench.api.recipe import Recipe, Stretch
from prunebench.components.binding import FileBinder
from prunebench.testing import toy_catalogue

TABLE = {"horizon": "4ep", "batch": 8, "optimizer": {"use": "sgd", "lr": 1}}
STRETCHED = {"of": "4ep", "times": "macs-ratio", "at_most": 2}


def recipe(**more: Any) -> Recipe:
    return Recipe.model_validate({**TABLE, **more}, context=FileBinder(toy_catalogue()))


def wrong(**more: Any) -> list[str]:
    with pytest.raises(ValidationError) as refused:
        recipe(**more)
    return [one.at("train.") for one in problems(refused.value)]


def test_a_table_of_three_keys_is_a_whole_recipe() -> None:
    plain = recipe()
    assert ([use.name for use in plain.lr], plain.loss, plain.mask_updates, plain.stop) == (["constant"], (), (), None)
    assert (plain.numerics, plain.memory_format, plain.compile) == ("float32", "contiguous", False)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("numerics", "bfloat16", "train.numerics: must be 'float32', 'tf32' or 'bf16', not 'bfloat16'"),
        (
            "memory_format",
            "channels-last",
            "train.memory_format: must be 'contiguous' or 'channels_last', not 'channels-last'",
        ),
        ("compile", 1, "train.compile: must be true or false, not 1"),
        ("batch", True, "train.batch: must be a whole number, not true"),
        ("batch", "8", "train.batch: must be a whole number, not '8'"),
        ("shrunk", 1, "train.shrunk: must be true or false, not 1"),
        ("horizon", {"of": "4ep", "times": "flops"}, "train.horizon.times: must be 'macs-ratio', not 'flops'"),
        ("lr", {"use": "warmup"}, 'train.lr.over: missing (component "warmup")'),
    ],
)
def test_a_wrong_value_is_answered_with_what_is_accepted(field: str, value: Any, message: str) -> None:
    assert wrong(**{field: value}) == [message]


def test_a_component_that_stands_alone_is_a_list_of_one() -> None:
    assert [use.name for use in recipe(lr="cosine").lr] == ["cosine"]
    assert wrong(lr=["constant", {"use": "warmup", "ovr": 1}]) == [
        'train.lr[1].over: missing (component "warmup")',
        'train.lr[1].ovr: unknown key (component "warmup"). Did you mean "over"?',
    ]


def test_a_changed_recipe_keeps_everything_else() -> None:
    plain = recipe(label_smoothing=0.1)
    changed = plain.replace(horizon=Position.parse("6ep"), stop=None, lr=plain.lr * 2)
    assert (str(changed.horizon), len(changed.lr), changed.label_smoothing) == ("6ep", 2, 0.1)
    assert changed.optimizer is plain.optimizer
    assert str(plain.horizon) == "4ep"


def test_a_horizon_that_the_mask_lengthens_stays_one_where_a_schedule_changes_it() -> None:
    stretched = recipe(horizon=STRETCHED)
    assert (str(stretched.horizon), stretched.stretch) == ("4ep", Stretch.model_validate(STRETCHED))
    longer = stretched.replace(horizon=Position.parse("8ep"))
    assert (str(longer.horizon), longer.stretch) == ("8ep", Stretch.model_validate({**STRETCHED, "of": "8ep"}))
    assert recipe().stretch is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizn": "6ep"}, 'horizn: unknown key. Did you mean "horizon"?'),
        ({"batch": 0}, "batch: must be greater than 0"),
    ],
)
def test_a_schedule_cannot_change_what_a_recipe_does_not_have(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(PlanError) as refused:
        recipe().replace(**changes)
    assert str(refused.value).startswith(message)


def test_a_written_recipe_is_read_back_as_the_same() -> None:
    for plain in (recipe(), recipe(horizon=STRETCHED, lr=["cosine", {"use": "warmup", "over": "1ep"}], stop="3ep")):
        written = plain.model_dump(mode="json", by_alias=True)
        assert Recipe.model_validate(written, context=FileBinder(toy_catalogue())) == plain


def test_a_table_with_components_needs_to_know_which_are_installed() -> None:
    with pytest.raises(TypeError, match="Binder"):
        Recipe.model_validate(TABLE)
