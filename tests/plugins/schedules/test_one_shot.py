from prunebench.testing import ScheduleContract, toy_chain


class TestOneShot(ScheduleContract):
    component = {"use": "one-shot"}


class TestOneShotThatCarriesItsWeights(ScheduleContract):
    component = {"use": "one-shot", "weights": "carry", "to": "8it"}


def chain_with(**schedule):
    return toy_chain(3, changes={"entry": [{"name": "imp", "schedule": {"use": "one-shot", **schedule}}]})[0]


def test_every_density_is_one_cut_from_the_end_of_the_same_dense_run():
    chain = chain_with()
    specs = [chain.phases.by_key[t.mask.key].spec for t in chain.tickets[1:]]
    assert {s.mask for s in specs} == {None}
    assert {(s.weights.key, s.weights.at) for s in specs} == {(chain.find(chain.dense, 1).key, 24)}
    assert [s.count for s in specs] == list(chain.counts[1:])


def test_weights_and_clock_are_independent():
    rewound, carried = chain_with(to="8it"), chain_with(to="8it", weights="carry")
    assert [t.weights.at for t in rewound.tickets[1:]] == [8, 8, 8]
    assert [t.weights.at for t in carried.tickets[1:]] == [24, 24, 24]
    assert {str(t.start) for t in (*rewound.tickets[1:], *carried.tickets[1:])} == {"8it"}


def test_a_files_cut_counts_its_rounds_and_does_not_say_what_each_layer_keeps():
    select = {"use": "layerwise", "rates": {"fc2*": 0.5}}
    entries = [{"name": "imp", "select": select, "schedule": schedule} for schedule in ("one-shot", "rewind")]
    one_shot, rewound = (toy_chain(3, changes={"entry": [entry]})[0] for entry in entries)
    assert one_shot.cut is not None
    assert one_shot.counts == rewound.counts
    cuts = [[c.phases.by_key[t.mask.key].spec.cut for t in c.tickets[1:]] for c in (one_shot, rewound)]
    assert cuts == [[rewound.cut, None, None], [rewound.cut] * 3]
    assert one_shot.tickets[1] == rewound.tickets[1]
