"""Sentences of a small grammar, as rows of words: data that a causal model can learn, made without a file.

A subject may have a clause of its own, and the verb after it agrees with the subject, not with the noun that is nearer:
"these cats that hear a dog see some old birds ." Rows begin with a sentence and end where they are full.

Source: an example of this package.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from prunebench.api.data import Data

DETERMINERS = (("a", "this"), ("some", "these"))
ADJECTIVES = ("small", "old", "red")
NOUNS = (("cat", "dog", "bird", "fish"), ("cats", "dogs", "birds", "fishes"))
VERBS = (("sees", "hears", "likes"), ("see", "hear", "like"))
"""Of the singular, of the plural."""

WORDS = (*DETERMINERS[0], *DETERMINERS[1], *ADJECTIVES, *NOUNS[0], *NOUNS[1], *VERBS[0], *VERBS[1], "that", ".")
"""The vocabulary: a word's token is its place."""

HELD_OUT = 500
"""Rows of the validation and of the test split."""


class SentencesConfig(ComponentConfig):
    """`length`: words of a row; `train`: rows of the training split."""

    length: int = Field(default=17, ge=2)
    train: int = Field(default=4_000, ge=1)


class Sentences:
    """The same rows for every seed: what they say is fixed by the grammar and a stream of its own."""

    def __init__(self, config: SentencesConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_data(self) -> Data:
        """Tokens (rows, length) int64; targets are empty, for a task makes them of the rows."""
        import torch

        from prunebench.api.data import Data, ResidentTensors
        from prunebench.api.info import DataInfo

        sizes = {"train": self._config.train, "valid": HELD_OUT, "test": HELD_OUT}
        splits = {}
        digest = hashlib.sha256()
        for split, size in sizes.items():
            rows = torch.tensor(tokens(split, size, self._config.length))
            digest.update(rows.numpy().astype("<i8").tobytes())
            splits[split] = ResidentTensors(rows, torch.zeros(size, 0, dtype=torch.int64))
        info = DataInfo("sentences", digest.hexdigest(), sizes, (self._config.length,), len(WORDS))
        return Data(info, splits)


def tokens(split: str, rows: int, length: int) -> list[list[int]]:
    """The rows of a split."""
    from prunebench.api.random import Rng

    # Raw bits: of NumPy's generators only they are promised to stay the same.
    bits = Rng(f"prunebench-example/sentences/{split}").numpy().bit_generator
    draws = (int(raw) for _ in iter(int, 1) for raw in bits.random_raw(4_096))
    places = {word: place for place, word in enumerate(WORDS)}
    found = []
    for _ in range(rows):
        row: list[int] = []
        while len(row) < length:
            row += [places[word] for word in sentence(draws)]
        found.append(row[:length])
    return found


def sentence(draws: Iterator[int]) -> Iterator[str]:
    """Subject, perhaps with a clause, verb, object, full stop."""
    number = next(draws) % 2
    yield from noun_phrase(draws, number)
    if next(draws) % 2:
        yield "that"
        yield from clause(draws, number)
    yield from clause(draws, number)
    yield "."


def clause(draws: Iterator[int], number: int) -> Iterator[str]:
    """A verb that agrees with its subject, and its object."""
    yield VERBS[number][next(draws) % 3]
    yield from noun_phrase(draws, next(draws) % 2)


def noun_phrase(draws: Iterator[int], number: int) -> Iterator[str]:
    """A determiner, perhaps an adjective, and a noun, which agree."""
    yield DETERMINERS[number][next(draws) % 2]
    if next(draws) % 3 == 0:
        yield ADJECTIVES[next(draws) % 3]
    yield NOUNS[number][next(draws) % 4]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `sentences`."""
    yield Component("sentences", SentencesConfig, Sentences, version=1, paper="an example")
