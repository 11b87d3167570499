import random
from itertools import combinations, pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.api.estimates import Compared, Paired
from prunebench.stats.ranking import Place, shared_ranks


def compared(difference: float, p: float) -> Compared:
    return Compared(Paired(difference, None, None, p, 3), p)


def test_an_entry_is_held_against_the_first_of_its_group_and_not_against_the_last() -> None:
    merits = {"a": (0, -3.0), "b": (0, -2.0), "c": (0, -1.0)}
    tests = {("b", "a"): compared(-1.0, 0.2), ("c", "b"): compared(-1.0, 0.2), ("c", "a"): compared(-2.0, 0.01)}
    places = shared_ranks(merits, tests, True, 0.05)
    assert places == [Place("a", 1), Place("b", 1, "a"), Place("c", 3, "a")]


def made_up(shuffle: random.Random, entries: int) -> dict[tuple[str, str], Compared]:
    tests = {}
    for a, b in combinations([f"e{i}" for i in range(entries)], 2):
        p, apart = shuffle.random() ** 4, shuffle.choice([-1.0, 1.0])
        tests[a, b], tests[b, a] = compared(apart, p), compared(-apart, p)
    return tests


@settings(deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 9))
def test_groups_are_what_the_rule_says(shuffle: random.Random, entries: int) -> None:
    merits = {f"e{i}": (shuffle.choice([0, 0, 1]), round(shuffle.random(), 1)) for i in range(entries)}
    tests = made_up(shuffle, entries)
    places = shared_ranks(merits, tests, True, 0.05)
    assert [merits[place.entry] for place in places] == sorted(merits.values())
    firsts: dict[int, str] = {}
    for number, place in enumerate(places, start=1):
        assert place.rank is not None
        leader = firsts.setdefault(place.rank, place.entry)
        if leader == place.entry:
            assert place.rank == number
            continue
        one = tests[place.entry, leader]
        assert merits[leader][0] == merits[place.entry][0]
        assert not (one.p is not None and one.p < 0.05 and one.pair.difference < 0)
    for above, below in pairwise(sorted(firsts)):
        first, opener = firsts[above], firsts[below]
        one = tests[opener, first]
        more = merits[opener][0] > merits[first][0]
        assert more or (one.p is not None and one.p < 0.05 and one.pair.difference < 0)
