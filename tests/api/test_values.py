from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from prunebench import ComponentConfig, EntryRef, Position
from prunebench.api.info import Layer, ModelInfo
from prunebench.api.positions import Clock

EPOCH_OF_12 = Clock(steps_per_epoch=12, horizon=240)


class Config(ComponentConfig):
    over: Position = Position.parse("1ep")
    other: EntryRef | None = None
    strength: float = 1.0


@pytest.mark.parametrize(
    ("text", "iterations"),
    [
        ("0it", 0),
        ("500it", 500),
        ("1_000it", 1000),
        ("2ep", 24),
        ("0.5ep", 6),
        (" 2 ep ", 24),
        ("2%", 5),  # 4.8, to the nearest
        ("100%", 240),
    ],
)
def test_a_position_is_converted_by_the_clock_of_its_run(text: str, iterations: int) -> None:
    assert Position.parse(text).iterations(EPOCH_OF_12) == iterations


def test_an_epoch_is_as_long_as_the_runs_batch_makes_it() -> None:
    epoch = Position.parse("1ep")
    assert (epoch.iterations(Clock(12)), epoch.iterations(Clock(6))) == (12, 6)


@pytest.mark.parametrize("bare", [500, 2.5, "500", "", "ep", "-1ep", "1e3it", None, True])
def test_a_bare_number_is_no_position_and_the_error_says_what_is_one(bare: object) -> None:
    with pytest.raises(ValueError, match='write iterations "500it", epochs "2ep" or a share of the horizon "2%"'):
        Position.parse(bare)


def test_half_an_iteration_is_refused() -> None:
    with pytest.raises(ValueError, match=r"'0\.5it' is not a whole number of iterations"):
        Position.parse("0.5it")


def test_a_share_needs_a_horizon() -> None:
    with pytest.raises(ValueError, match='"2%" is a share of the horizon, and there is none here'):
        Position.parse("2%").iterations(Clock(12))


@settings(deadline=None)
@given(st.decimals(0, 10**6, allow_nan=False, places=5), st.sampled_from(["ep", "%"]))
def test_a_position_survives_being_written_and_read(amount: Any, unit: str) -> None:
    position = Position.parse(f"{amount:f}{unit}")
    assert Position.parse(str(position)) == position
    assert position.amount == Fraction(amount)


def test_equal_positions_are_written_alike() -> None:
    assert {str(Position.parse(text)) for text in ("1.50ep", "1.5ep", "1.500 ep")} == {"1.5ep"}
    assert str(Position.parse("0.00001%")) == "0.00001%"


def test_a_configuration_is_written_as_it_is_stated_or_in_iterations_where_a_clock_is_given() -> None:
    config = Config(over=Position.parse("2ep"))
    assert config.model_dump(mode="json")["over"] == "2ep"
    assert config.model_dump(mode="json", context={"clock": EPOCH_OF_12})["over"] == "24it"


def test_a_configuration_is_frozen_and_forbids_unknown_keys() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        Config().strength = 2.0  # type: ignore[misc]
    with pytest.raises(ValidationError, match=r'unknown key\. Did you mean "strength"'):
        Config.model_validate({"strenght": 2.0})


def test_a_configuration_keeps_numbers_in_their_declared_type() -> None:
    assert repr(Config.model_validate({"strength": 1}).strength) == "1.0"


def test_a_reference_to_an_entry_is_told_apart_from_other_strings() -> None:
    config = Config.model_validate({"other": "imp"})
    assert isinstance(config.other, EntryRef)
    assert config.other == "imp"
    assert config.model_dump(mode="json")["other"] == "imp"


def test_the_units_of_a_model_are_those_of_its_layers() -> None:
    layers = (Layer("fc1.weight", 0, 48), Layer("fc2.weight", 48, 18))
    assert ModelInfo("net", 75, layers).units == 66
    assert ModelInfo("net", 75, ()).units == 0
