"""A list of claims held against boards: states, the other way, hours; and the committed list and table."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from prunebench.api.board import Board
from prunebench.api.errors import PrunebenchError
from prunebench.commands.claims_table import BEGIN, END, with_table
from prunebench.leaderboard import board_of
from prunebench.leaderboard.claim_texts import counted, evidence_text, markdown, work_text
from prunebench.leaderboard.claims import ClaimList, ClaimState, core_hours, gpu_hours, read_claims, states_of
from prunebench.leaderboard.expectations import expectation_of
from prunebench.leaderboard.site.claims import claims_page

from .test_expectations import CLAIM, recorded, rows

ROOT = Path(__file__).parents[2]
LISTED = ROOT / "leaderboards" / "claims.toml"

LIST: dict[str, Any] = {
    "rate": [{"name": "core", "core_seconds": 36}, {"name": "gpu", "gpu_images": 1_000, "macs": 1e9}],
    "claim": [
        {
            "number": 1,
            "source": "LTH, figure 0",
            "claim": "late | beats init",
            "published": "+2.77 points",
            "differs": ["lottery-ticket.toml: everything"],
            "rows": [{"file": "lottery-ticket.toml", "better": "late", "worse": "init", "metric": "test/accuracy"}],
            "work": [
                {"file": "lottery-ticket.toml", "entries": ["late"], "runs": 300, "images": 36_000_000, "rate": "core"},
                {"file": "large.toml", "entries": ["*"], "runs": 3, "images": 36_000_000, "rate": "gpu"},
            ],
        }
    ],
}


@dataclass(frozen=True)
class Named:
    slug: str
    board: Board


def board(gap: float, slug: str = "board", file: str = "benchmarks/lottery-ticket.toml", **changes: Any) -> Named:
    profile, stated = changes.pop("profile", None), {**CLAIM, **changes}
    if changes.get("equal_within"):
        del stated["published"]
    return Named(slug, board_of(recorded(rows(gap), stated, profile=profile, file=file)))


def state(*boards: Named) -> ClaimState:
    (found,) = states_of(ClaimList.model_validate(LIST), boards)
    return found


@pytest.mark.parametrize(
    ("boards", "said"),
    [
        ([], "not run"),
        ([board(0.02)], "reproduced"),
        ([board(-0.02)], "contradicted"),
        ([board(0.001)], "undecided"),
        ([board(0.02), board(-0.02, "other")], "mixed"),
        ([board(-0.02, profile="smoke")], "not judged"),
        ([board(0.02), board(-0.02, "reduced", profile="smoke")], "reproduced"),
        ([board(0.02, file="elsewhere/another.toml")], "not run"),
        ([board(0.02, better="init", worse="late")], "not run"),
        ([board(0.02, metric="test/loss")], "not run"),
    ],
)
def test_the_state_is_what_whole_boards_say_of_the_row(boards: list[Named], said: str) -> None:
    assert state(*boards).state == said


def test_whole_boards_come_first() -> None:
    found = state(board(0.02, "a", profile="smoke"), board(0.02, "b"))
    assert [(one.board, one.reduced) for one in found.evidence] == [("b", False), ("a", True)]


@pytest.mark.parametrize(
    ("changes", "against"),
    [
        ({"gap": -0.02}, True),
        ({"gap": -0.0001}, True),  # not significantly
        ({"gap": 0.0001}, False),
        ({"gap": 0.0001, "equal_within": 0.01}, False),
        ({"gap": 0.005, "equal_within": 0.01}, True),  # within the margin, and not 0
        ({"gap": 0.02, "published": {"difference": -0.03}}, True),
        ({"gap": -0.02, "published": {"difference": -0.03}}, False),
        ({"gap": -0.02, "profile": "smoke"}, True),
    ],
)
def test_what_does_not_go_the_published_way_is_named_whether_judged_or_not(
    changes: dict[str, Any], against: bool
) -> None:
    found = state(board(**changes))
    assert bool(found.against) is against
    assert ("the other way than published" in evidence_text(found.evidence[0])) is against
    for page in (markdown([found]), claims_page([], [found])):
        assert ("What goes the other way" in page) is against
        assert ("lottery-ticket.toml: everything." in page) is against


def test_a_row_of_the_table_has_the_boards_numbers_and_the_hours() -> None:
    page = markdown([state(board(0.02, "mine"))])
    assert page.startswith("1 claims: 1 reproduced.")
    line = next(line for line in page.splitlines() if line.startswith("| 1 |"))
    assert line.replace(r"\|", "").count(" | ") == 5
    assert (
        "mine: late - init, test/accuracy at density 16.8 %: +2.00 ± 0.25 percentage points, n = 3; reproduced" in line
    )
    assert "36 M images in 300 runs (lottery-ticket.toml): 3.0 core-hours" in line
    assert "36 M images in 3 runs (large.toml): 10 GPU-hours, or about 1,500 core-hours" in line


def test_hours_are_those_of_the_rates() -> None:
    (core, one), (gpu, other) = state().work
    assert (core_hours(core, one), gpu_hours(core, one)) == (3.0, None)
    assert gpu_hours(gpu, other) == 10.0
    assert core_hours(gpu, other) == pytest.approx(3 * 36e6 * 1e9 / 20e9 / 3_600)
    assert work_text(gpu.model_copy(update={"besides": "a day of thinking"}), other).endswith(", and a day of thinking")


def text_of(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "claims.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("number = 2\n", "number = 3\n", "claims are numbered 1, 2, ... in order"),
        ('rate = "lenet-lottery"', 'rate = "fast"', 'no rate "fast"; there are conv2'),
        ("core_seconds = 165", "core_secs = 165", "core_secs"),
        ("core_seconds = 165", "", "state core_seconds, or gpu_images and macs"),
        ("[[claim]]", "[[claim", "not a TOML file"),
    ],
)
def test_a_list_that_is_wrong_is_refused_in_words(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = LISTED.read_text(encoding="utf-8")
    assert old in text
    with pytest.raises(PrunebenchError, match=message):
        read_claims(text_of(tmp_path, text.replace(old, new, 1)))


# The committed list.


def test_every_claim_is_listed_and_each_of_its_rows_is_one_of_its_file() -> None:
    claims = read_claims(LISTED)
    assert len(claims.claim) == 25
    for claim in claims.claim:
        for row in claim.rows:
            stated = tomllib.loads((ROOT / "benchmarks" / row.file).read_text(encoding="utf-8"))["expect"]
            assert any(
                row.matches(f"benchmarks/{row.file}", expectation_of(_with_both_sides(one), "test/accuracy"))
                for one in stated
            ), f"claim {claim.number}: {row.file} has no such row: {row}"


def _with_both_sides(stated: dict[str, Any]) -> dict[str, Any]:
    return {"worse": stated["better"], **stated}


def test_the_readme_has_the_table_that_the_list_and_the_committed_boards_make() -> None:
    page = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    assert page.count(BEGIN) == page.count(END) == 1
    run = "python -m prunebench.commands.claims_table leaderboards benchmarks/README.md"
    assert with_table(page, ROOT / "leaderboards") == page, f"run: {run}"


def test_a_page_without_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="the page has no"):
        with_table("nothing", ROOT / "leaderboards")


def test_the_count_of_states_is_in_words() -> None:
    assert counted([state(), state(board(0.02))]) == "2 claims: 1 not run, 1 reproduced."
