"""How many of something, as a person says it."""

from __future__ import annotations


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """A count and its noun: "1 entry", "1,024 seeds".

    Args:
        plural: of nouns that take more than an "s", or "ies" for a "y" behind a consonant.
    """
    if count != 1:
        ends_in_y = noun.endswith("y") and noun[-2:-1] not in "aeiou"
        noun = plural or (f"{noun[:-1]}ies" if ends_in_y else f"{noun}s")
    return f"{count:,} {noun}"
