import pytest

from prunebench.api.errors import (
    ConfigError,
    ContractError,
    DataMissing,
    LostArtifact,
    PlanError,
    PrunebenchError,
    StoreError,
    close_to,
    nearest,
)

SCORES = ["magnitude", "random", "gradient"]


@pytest.mark.parametrize("kind", [ConfigError, ContractError, DataMissing, PlanError, StoreError, LostArtifact])
def test_whatever_prunebench_raises_on_purpose_has_one_base(kind: type[Exception]) -> None:
    assert issubclass(kind, PrunebenchError)


def test_a_config_error_carries_every_error_of_the_file_one_a_line() -> None:
    error = ConfigError(line for line in ("train.batch: missing", "seeds: missing"))
    assert error.errors == ("train.batch: missing", "seeds: missing")
    assert str(error) == "train.batch: missing\nseeds: missing"


def test_a_misspelt_name_is_answered_with_the_nearest_one() -> None:
    assert nearest("magnitud", SCORES) == ' Did you mean "magnitude"?'
    assert close_to("magnitud", SCORES) == ' Did you mean "magnitude"?'


def test_two_names_that_are_as_near_are_both_told() -> None:
    assert nearest("imp-lw", ["imp-low", "imp-law", "dense"]) == ' Did you mean "imp-low" or "imp-law"?'


def test_a_name_that_nothing_is_near_to_is_answered_with_the_known_ones_in_order() -> None:
    assert nearest("xyz", SCORES) == ' Known: "gradient", "magnitude", "random".'
    assert close_to("xyz", SCORES) == ""


def test_a_long_list_of_known_names_is_cut_short() -> None:
    told = nearest("xyz", [f"entry-{index:02}" for index in range(30)])
    assert told.endswith('"entry-11", ... .') or told.endswith('"entry-11", ....')
    assert "entry-12" not in told


def test_nothing_is_suggested_where_nothing_is_known() -> None:
    assert nearest("xyz", []) == ""


def test_a_lost_artifact_says_which_and_why() -> None:
    error = LostArtifact("0123456789abcdef", "its checksum differs")
    assert str(error) == "artifact 0123456789ab: its checksum differs"
    assert error.address == "0123456789abcdef"
