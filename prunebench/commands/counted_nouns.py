"""How many of something, as a person says it."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A count and its noun, which takes an "s", or "ies" for a "y" behind a consonant: "1 entry", "1,024 seeds"."""
    if count != 1:
        ends_in_y = noun.endswith("y") and noun[-2:-1] not in "aeiou"
        noun = f"{noun[:-1]}ies" if ends_in_y else f"{noun}s"
    return f"{count:,} {noun}"
