"""How far each entry is from the one that the file compares with."""

from __future__ import annotations

from prunebench.api.board import Board, Difference, Differences, Group
from prunebench.api.metric import Metric
from prunebench.api.report import NOTHING, corner, difference_text, escape, level, name_of, p_note, table


def difference_table(group: Group, differences: Differences, board: Board) -> str:
    """Each entry minus the reference, paired by seed, Holm-corrected over the whole table."""
    metric, alpha = group.metric, board.alpha
    title = f"Difference to {escape(differences.against)}"
    if not differences.reference_ok:
        return f"{title}: none, for it has no value of an ok trial here."
    if not differences.by_place:
        return f"{title}: none, for no other entry has an ok trial at its densities."
    most = max((one.pair.n for one in differences.by_place.values() if one.pair is not None), default=0)
    places = differences.places
    lines = [
        [
            name_of(group.entries[entry]),
            *(_difference(differences.by_place.get((entry, place)), metric, alpha, most) for place in places),
        ]
        for entry in differences.entries
    ]
    same = "density" if group.axis == "density" else "place"
    dense = differences.against in group.references
    which = "the dense value" if dense else f"the same {same}"
    unit = f", {metric.apart}" if metric.apart else ""
    test = (
        f"mean ± {level(alpha)} interval of the differences paired by seed, and p of a two-sided t-test, "
        f"Holm-corrected over the {differences.tested} tested cells of this table. **Bold**: corrected p below "
        f"{alpha:g}. The intervals are not corrected."
    )
    caption = (
        f"{title} at {which}{unit}: {test if differences.tested else 'of one seed each, without interval or test.'}"
    )
    between = any(cell.between for cell in group.cells)
    head = [corner(group), *(group.labels[place] for place in places)]
    parts = [caption, table(head, lines, "l" + "r" * len(places)), _limits(differences, metric, between)]
    return "\n\n".join(part for part in parts if part)


def _difference(difference: Difference | None, metric: Metric, alpha: float, most: int) -> str:
    if difference is None:
        return NOTHING
    pair = difference.pair
    if pair is None:
        return "no common seed"
    text = difference_text(pair, metric)
    text = text if difference.p is None else p_note(text, difference.p, alpha)
    return f"{text} (n={pair.n})" if pair.n == 1 or pair.n != most else text


def _limits(differences: Differences, metric: Metric, interpolated: bool) -> str:
    """What the differences cannot show."""
    notes = []
    pairs = [one.pair for one in differences.by_place.values() if one.pair is not None]
    spreads = [pair for pair in pairs if pair.deviation is not None]
    if spreads and len(spreads) < len(pairs):
        notes.append("A single pair has no interval and no test.")
    if any(pair.deviation == 0 and pair.low is None for pair in spreads):
        notes.append(
            "Where all seeds gave the same difference there is no spread for an interval or t: p is a sign test's."
        )
    notes.append(_least(differences, metric))
    if interpolated:
        notes.append("Where a value above is marked ≈, its differences are interpolated as it is.")
    return " ".join(note for note in notes if note)


def _least(differences: Differences, metric: Metric) -> str:
    least = differences.detectable
    if least is None:
        return ""
    text = (
        f"Least detectable: with {least.pairs} pairs and the spread of this table, a single uncorrected test finds a "
        f"true difference of {metric.number(least.single)} four times in five"
    )
    if least.strictest is not None:
        text += f", and at the strictest step of Holm's correction {metric.number(least.strictest)}"
    more = [f"{metric.number(value)} with {pairs}" for pairs, value in least.more.items()]
    grown = f" Uncorrected it would be {', '.join(more)} pairs." if more else ""
    return f"{text}; smaller ones may exist unseen.{grown}"
