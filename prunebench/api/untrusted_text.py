"""Text of strangers (a plugin's exception, a name in a file) as it may reach a terminal, a log or a page. No torch."""

from __future__ import annotations

import unicodedata

MOST = 2_000
"""Characters of one text that are shown at most."""

_INVISIBLE = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control, format (bidirectional marks too), surrogate, private and unassigned characters, line and paragraph ends."""


def printable(text: str, most: int = MOST) -> str:
    """The text on one or more lines, every character that a terminal would act on written as an escape.

    Line feeds stay, since errors are written over several lines. What is longer than `most` is cut in the middle, and
    says so.
    """
    if len(text) > most:
        head, tail = text[: most // 2], text[-(most // 4) :]
        text = f"{head} [... {len(text) - len(head) - len(tail):,} more characters ...] {tail}"
    return "".join(_shown(character) for character in text)


def describe(error: BaseException, most: int = MOST) -> str:
    """An exception as "TYPE: TEXT", whatever its class does when it is asked for its text.

    Lines after the first are indented: none of them can be taken for one that the suite wrote.
    """
    name = type(error).__name__
    try:
        text = str(error)
    except BaseException as second:  # an exception of a stranger may fail in any way, also by leaving the program
        text = f"(its text cannot be made: {type(second).__name__})"
    return printable(f"{name}: {text}" if text else name, most).replace("\n", "\n    ")


def _shown(character: str) -> str:
    if character == "\n" or (character.isascii() and character.isprintable()):
        return character
    if unicodedata.category(character) not in _INVISIBLE:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
