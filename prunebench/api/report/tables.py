"""The main table of a group in Markdown, with the rules that it was made by."""

from __future__ import annotations

from prunebench.api.board import AXES, Entry, Group
from prunebench.api.estimates import Interval
from prunebench.api.report.numbers import NOTHING, around, gap_lines, level, nowhere_text, value_text
from prunebench.api.report.text import escape, table


def results_table(group: Group, alpha: float) -> str:
    """What each entry reached, ranked, and the rules."""
    metric, labels = group.metric, group.labels
    lines = [
        [
            NOTHING if entry.rank is None else str(entry.rank),
            name_of(entry),
            _counts(entry),
            *(value_text(entry.cells[p], metric, group.trials) if p in entry.cells else NOTHING for p in group.places),
        ]
        for entry in group.shown
    ]
    head = ["rank", corner(group), "n", *labels.values()]
    under = [rule(group, alpha)]
    if any(cell.n == 1 for cell in group.cells):
        under.append(
            "One seed gives no interval: values with n=1 show no spread, and an order among them proves little."
        )
    if any(cell.n > 1 and len(set(cell.values.values())) == 1 for cell in group.cells):
        under.append("An interval of width 0 means that all seeds gave the same value, not that others would.")
    if any(_is_cut(cell.interval) for cell in group.cells):
        under.append("An interval in brackets ends where the metric's range does.")
    gaps = gap_lines(group)
    if gaps:
        under.append("\n".join(["Asked for, and without a value:", "", *(f"- {escape(line)}." for line in gaps)]))
    if any(cell.broken for cell in group.cells):
        under.append(
            "Means and n are over trials that are ok; the cells count the others, with a seed counted as not ok if any "
            "of its draws is, or if it broke before there was a ticket to judge."
        )
    under.append(escape(nowhere_text(group)))
    under.append(_overall(group))
    caption = f"{escape(metric.label)}: mean ± {level(alpha)} Student interval over seeds; n counts seeds."
    return "\n\n".join(
        [caption, table(head, lines, "rlr" + "r" * len(group.columns)), *(note for note in under if note)]
    )


def corner(group: Group) -> str:
    """What the rows and the columns of a table are."""
    return f"entry / {AXES[group.axis]}"


def name_of(entry: Entry) -> str:
    """An entry's name in a table."""
    return escape(entry.name) + (" (unpruned)" if entry.dense else "")


def rule(group: Group, alpha: float) -> str:
    """The ranking rule in words, with the densities and the number of tests that it used."""
    if not group.ranked:
        return "No rank: only dense networks were evaluated."
    if not group.shared:
        return "No rank: there is no density below 100 % at which every entry was tried."
    listed = ", ".join(group.labels[place] for place in group.shared)
    places = "densities" if group.axis == "density" else "places"
    parts = [
        f"Order: mean of {escape(group.metric.name)} over the {places} below 100 % that all ranked entries share "
        f"({listed}), {'highest' if group.metric.higher else 'lowest'} first; an entry with trials that are not ok "
        "stands below every entry without any, and above one with more, whatever its mean over ok trials is."
    ]
    if sum(entry.rank is not None for entry in group.entries.values()) > 1:
        parts.append(
            "Rank: entries that cannot be told apart share one. Walking down, an entry joins the group above it unless "
            "it has more trials that are not ok, or its difference to the first of that group, paired by seed, is "
            f"significant: p below {alpha:g} after Holm's correction over all {group.testable} testable pairs of "
            "ranked entries."
        )
    with_values = [name for name in group.order if group.entries[name].tried]
    if len(with_values) == 1:
        parts.append(f"No rank: {escape(with_values[0])} alone has a value here, and nothing to be ranked against.")
    elif any(group.entries[name].rank is None for name in with_values):
        parts.append("An entry that was tried with one seed has no rank: nothing tells it apart from any other.")
    elif len(group.ranked) > 1 and not group.testable:
        parts.append(
            "Nothing could be tested here: no two entries have two seeds in common, and the order proves nothing."
        )
    return "\n\n".join(parts)


def _is_cut(interval: Interval | None) -> bool:
    return interval is not None and "[" in around(interval.mean, interval.ends, str)


def _counts(entry: Entry) -> str:
    counts = [cell.n for cell in entry.cells.values() if cell.trials]
    if not counts:
        return "0"
    return str(counts[0]) if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"


def _overall(group: Group) -> str:
    """The same densities over all parameters: a different number, kept beside the first."""
    shown = []
    for column in group.columns:
        if column.place == 1.0 or column.overall is None:
            continue
        low, high = (f"{100 * share:#.3g}".rstrip(".") for share in column.overall)
        shown.append(f"{low} %" if low == high else f"{low} to {high} %")
    return f"Over all parameters the densities below 100 % are {', '.join(shown)}." if shown else ""
