"""No text of a stranger acts on a terminal."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from prunebench.api.untrusted_text import MOST, describe, printable

ANY = st.text(st.characters(exclude_categories=()))


@given(ANY)
def test_nothing_that_a_terminal_acts_on_is_left(text: str) -> None:
    shown = printable(text)
    assert all(c == "\n" or unicodedata.category(c)[0] != "C" for c in shown)
    shown.encode("utf-8")


@given(st.text(st.characters(categories=("L", "N", "P", "S"))))
def test_ordinary_text_of_any_script_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


def test_a_long_text_is_cut_in_the_middle_and_says_so() -> None:
    shown = printable("a" * 5_000_000)
    assert len(shown) < MOST
    assert "more characters" in shown


def test_bidirectional_marks_escape_sequences_and_nul_are_written_out() -> None:
    assert printable("\x1b[31mred\u202eoverride\x00") == "\\x1b[31mred\\u202eoverride\\x00"


class Mute(Exception):
    def __str__(self) -> str:
        raise SystemExit(0)


def test_an_exception_whose_text_fails_still_has_a_name() -> None:
    assert describe(Mute()) == "Mute: (its text cannot be made: SystemExit)"
    assert describe(ValueError()) == "ValueError"
