"""The two tables of a group: what each entry reached, and how far it is from the reference."""

from __future__ import annotations

from collections import Counter
from statistics import fmean

from prunebench.api.errors import PrunebenchError
from prunebench.leaderboard.cells import AXES, Cell, Group
from prunebench.leaderboard.markdown import escape, table
from prunebench.leaderboard.metrics import Metric
from prunebench.leaderboard.ranking import ranking, rule
from prunebench.stats.student import Interval, Paired, detectable, holm, paired, student_interval

NOTHING = "–"


def corner(group: Group) -> str:
    """What the rows and the columns of a table are."""
    return f"entry / {group.axis}"


def results_table(group: Group, metric: Metric, alpha: float) -> str:
    """The ranked table and the rules it was made by."""
    full = max((cell.trials for cell in group.cells.values()), default=0)
    lines = []
    places = [(entry, None) for entry in group.references] + [(p.entry, p.rank) for p in ranking(group, metric, alpha)]
    for entry, rank in places:
        shown = [group.cells.get((entry, density), Cell()) for density in group.densities]
        name = escape(entry) + (" (unpruned)" if entry in group.dense else "")
        lines.append(
            [NOTHING if rank is None else str(rank), name, _counts(shown)]
            + [value_text(cell, metric, alpha, full) for cell in shown]
        )
    head = ["rank", corner(group), "n", *(group.labels[density] for density in group.densities)]
    under = [rule(group, metric, alpha)]
    if any(cell.n == 1 for cell in group.cells.values()):
        under.append(
            "One seed gives no interval: values with n=1 show no spread, and an order among them proves little."
        )
    if any(cell.n > 1 and len(set(cell.values.values())) == 1 for cell in group.cells.values()):
        under.append("An interval of width 0 means that all seeds gave the same value, not that others would.")
    if any(cell.broken for cell in group.cells.values()):
        under.append(
            "Means and n are over trials that are ok; the cells count the others, with a seed counted as not ok if any "
            "of its draws is, or if it broke before there was a ticket to judge."
        )
    if group.unplaced:
        lost = (f"{escape(entry)} with seed {seed} ({outcome})" for entry, seed, outcome in group.unplaced)
        under.append(f"Broke with nothing evaluated at any density to count them at: {', '.join(lost)}.")
    under.append(_overall(group))
    caption = f"{escape(metric.label)}: mean ± {level(alpha)} Student interval over seeds; n counts seeds."
    return "\n\n".join(
        [caption, table(head, lines, "rlr" + "r" * len(group.densities)), *(note for note in under if note)]
    )


def order(group: Group, metric: Metric, alpha: float) -> list[str]:
    """The ranked entries in the order of the main table."""
    return [place.entry for place in ranking(group, metric, alpha)]


def outcome_note(cell: Cell) -> str:
    """How many trials of a cell are not ok, and how: "1 of 3 collapsed"; empty if all are."""
    counts = sorted(Counter(cell.broken.values()).items())
    return ", ".join(f"{count} of {cell.trials} {outcome}" for outcome, count in counts)


def mean_and_half(interval: Interval, metric: Metric) -> str:
    """A mean with half its interval, if it has one."""
    text = metric.number(interval.mean)
    return text if interval.high is None else f"{text} ± {metric.number(interval.high - interval.mean)}"


def difference_and_half(pair: Paired, metric: Metric) -> str:
    """A signed difference with half its interval, if it has one."""
    text = metric.signed(pair.difference)
    return text if pair.high is None else f"{text} ± {metric.number(pair.high - pair.difference)}"


def p_note(text: str, p: float, alpha: float) -> str:
    """A text with a p after it, bold where p is below alpha."""
    noted = f"{text}, p<0.001" if p < 0.001 else f"{text}, p={p:.3f}"
    return f"**{noted}**" if p < alpha else noted


def value_text(cell: Cell, metric: Metric, alpha: float, full: int) -> str:
    """A cell of the results: mean, half the interval, and what is special about its n.

    Args:
        full: the trials of a cell that needs no remark.
    """
    if not cell.trials:
        return NOTHING
    notes = [outcome_note(cell)] if cell.broken else []
    if not cell.values:
        return f"({notes[0]})"
    if cell.n == 1 or (cell.trials != full):
        notes.insert(0, f"n={cell.n}")
    text = mean_and_half(student_interval(cell.values.values(), alpha), metric)
    return f"{text} ({'; '.join(notes)})" if notes else text


def _counts(cells: list[Cell]) -> str:
    counts = [cell.n for cell in cells if cell.trials]
    if not counts:
        return "0"
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def _overall(group: Group) -> str:
    """The same densities over all parameters: a different number, kept beside the first."""
    shown = []
    for density in group.densities:
        if density == 1.0 or density not in group.overall:
            continue
        low, high = (f"{100 * share:#.3g}".rstrip(".") for share in group.overall[density])
        shown.append(f"{low} %" if low == high else f"{low} to {high} %")
    return f"Over all parameters the densities below 100 % are {', '.join(shown)}." if shown else ""


def difference_table(group: Group, metric: Metric, against: str, alpha: float) -> str:
    """Each entry minus the reference, paired by seed, Holm-corrected over the whole table."""
    title = f"Difference to {escape(against)}"
    if not any(cell.values for (entry, _), cell in group.cells.items() if entry == against):
        return f"{title}: none, for it has no ok trial here."
    others = [entry for entry in [*group.references, *order(group, metric, alpha)] if entry != against]
    pairs: dict[tuple[str, float], Paired] = {}
    unpaired: set[tuple[str, float]] = set()
    for entry in others:
        for density in group.densities:
            # at density 1 nothing is pruned: only dense networks are compared there, and only there
            if (density == 1.0) != (entry in group.dense and against in group.dense):
                continue
            ours, theirs = group.at(entry, density), group.at(against, density)
            if not ours.values or not theirs.values:
                continue
            try:
                pairs[entry, density] = paired(ours.values, theirs.values, alpha)
            except PrunebenchError:
                unpaired.add((entry, density))
    if not pairs and not unpaired:
        return f"{title}: none, for no other entry has an ok trial at its densities."
    tested = {at: pair.p for at, pair in pairs.items() if pair.p is not None}
    corrected = dict(zip(tested, holm(list(tested.values())), strict=True))
    most = max((pair.n for pair in pairs.values()), default=0)
    columns = [d for d in group.densities if any((entry, d) in pairs or (entry, d) in unpaired for entry in others)]
    lines = []
    for entry in others:
        line = [escape(entry) + (" (unpruned)" if entry in group.dense else "")]
        for density in columns:
            at = (entry, density)
            if at in pairs:
                line.append(_difference(pairs[at], corrected.get(at), metric, alpha, most))
            else:
                line.append("no common seed" if at in unpaired else NOTHING)
        lines.append(line)
    same = "density" if group.axis == AXES["density"] else "place"
    which = "the dense value" if against in group.dense else f"the same {same}"
    unit = f", {metric.apart}" if metric.apart else ""
    test = (
        f"mean ± {level(alpha)} interval of the differences paired by seed, and p of a two-sided t-test, "
        f"Holm-corrected over the {len(tested)} tested cells of this table. **Bold**: corrected p below {alpha:g}. "
        "The intervals are not corrected."
    )
    caption = f"{title} at {which}{unit}: {test if tested else 'of one seed each, without interval or test.'}"
    under = _limits(pairs, metric, alpha, len(tested))
    head = [corner(group), *(group.labels[density] for density in columns)]
    return "\n\n".join([caption, table(head, lines, "l" + "r" * len(columns)), *under])


def _difference(pair: Paired, p: float | None, metric: Metric, alpha: float, most: int) -> str:
    text = difference_and_half(pair, metric)
    text = text if p is None else p_note(text, p, alpha)
    return f"{text} (n={pair.n})" if pair.n == 1 or pair.n != most else text


def _limits(pairs: dict[tuple[str, float], Paired], metric: Metric, alpha: float, tests: int) -> list[str]:
    """What the differences cannot show."""
    notes = []
    spreads = [pair for pair in pairs.values() if pair.deviation is not None]
    if spreads and len(spreads) < len(pairs):
        notes.append("A single pair has no interval and no test.")
    if any(pair.deviation == 0 and pair.low is None for pair in spreads):
        notes.append(
            "Where all seeds gave the same difference there is no spread for an interval or t: p is a sign test's."
        )
    if spreads:
        n = max(pair.n for pair in spreads)
        typical = fmean(pair.deviation**2 for pair in spreads if pair.deviation is not None and pair.n == n) ** 0.5
        if typical > 0:
            notes.append(_least(typical, n, metric, alpha, tests))
    return [" ".join(notes)] if notes else []


def _least(typical: float, n: int, metric: Metric, alpha: float, tests: int) -> str:
    least = metric.number(detectable(typical, n, alpha))
    text = (
        f"Least detectable: with {n} pairs and the spread of this table, a single uncorrected test finds a true "
        f"difference of {least} four times in five"
    )
    if tests > 1:
        text += (
            f", and at the strictest step of Holm's correction {metric.number(detectable(typical, n, alpha / tests))}"
        )
    more = [f"{metric.number(detectable(typical, pairs, alpha))} with {pairs}" for pairs in (5, 10, 20) if pairs > n]
    grown = f" Uncorrected it would be {', '.join(more)} pairs." if more else ""
    return f"{text}; smaller ones may exist unseen.{grown}"


def level(alpha: float) -> str:
    """The level of an interval, as in "95 %"."""
    return f"{100 * (1 - alpha):g} %"
