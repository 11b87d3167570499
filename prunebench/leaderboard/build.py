"""Results -> the board: every number that is shown, computed here and nowhere else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import mean
from typing import TYPE_CHECKING, TypeAlias

from prunebench.api.board import AXES, SAME_PLACE, AxisName, Blocks, Board, Cell, Column, Entry, Group, Images, Smallest
from prunebench.api.estimates import Compared, Interval
from prunebench.api.metric import Metric
from prunebench.api.report.text import percent_labels
from prunebench.api.results import Results
from prunebench.api.rows import Outcome, Row, RunId
from prunebench.leaderboard.axis import note_of
from prunebench.leaderboard.correct import Scores, image_scores
from prunebench.leaderboard.differences import differences_of
from prunebench.leaderboard.expectations import evaluate_expectations
from prunebench.leaderboard.source import ModelData, Source, Tried
from prunebench.leaderboard.tickets import asked_of, same_again
from prunebench.stats.area import areas
from prunebench.stats.bootstrap import RESAMPLES, image_interval, mean_over_seeds
from prunebench.stats.friedman import friedman, ranks
from prunebench.stats.ranking import Place, comparisons, merit, seed_scores, shared_ranks
from prunebench.stats.smallest import Step, smallest
from prunebench.stats.student import difference_within, student_interval, within

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

_Whole: TypeAlias = Mapping[str, Mapping[float, Cell]]
"""The cell of each entry at each place; of a dense reference the same at all of them."""

_OUTCOMES: tuple[Outcome, ...] = ("ok", "collapsed", "diverged", "failed")


def board_of(results: Results) -> Board:
    """Everything that the leaderboard of these results shows.

    Raises: PrunebenchError if no evaluation has the metric, or two rows contradict each other.
    """
    report = results.provenance.report
    source = Source(results)

    def ranked_by(metric: str) -> Board:
        return _board(results, source, metric, ranked_by)

    board = ranked_by(report.metric)
    return replace(board, expectations=tuple(evaluate_expectations(results, source)))


def _board(results: Results, source: Source, metric: str, ranked_by: Callable[[str], Board]) -> Board:
    report = results.provenance.report
    groups = tuple(
        _group(where, tried, source, results, report.against) for where, tried in source.tried(metric).items()
    )
    solved = any(source.axis in asked_of(row) for row in results.rows)
    note = () if source.axis == "density" else (note_of(source.axis, solved=solved),)
    rows = results.rows
    note = (*note, *_coarse(rows), *_repeated(rows), *_emptied(rows), *_unscored(rows), *_remarks(rows))
    recorded = {row.entry for row in results.rows}
    absent = [name for name in results.provenance.entries if name not in recorded]
    if absent:
        note = (*note, f"Asked for, and nothing is recorded of: {', '.join(absent)}.")
    return Board(
        name=report.name,
        claim=report.claim,
        metric=metric,
        measured=source.evaluated,
        against=report.against,
        alpha=report.alpha,
        axis=source.axis,
        notes=(*_partial(results), *report.notes, *note),
        groups=groups,
        blocks=_blocks(groups, report.alpha),
        expectations=(),
        provenance=results.provenance,
        ranked_by=ranked_by,
    )


def _partial(results: Results) -> Iterator[str]:
    """That seeds of the file are missing: the results are its own only with them."""
    missing = results.provenance.missing_seeds
    if missing:
        which = f"seed {missing[0]} is" if len(missing) == 1 else f"seeds {_numbered(missing)} are"
        yield f"Partial: {which} missing of those that the file asks for."


def _coarse(rows: Iterable[Row]) -> Iterator[str]:
    """For each entry whose masks were cut to a share of a cost: how far from it they came to lie, if that is seen."""
    furthest: dict[tuple[str, AxisName], tuple[float, float, float]] = {}
    for row in rows:
        for axis, asked in asked_of(row).items():
            lies = getattr(row, axis)
            if lies is not None and abs(lies / asked - 1) > SAME_PLACE:
                so_far = furthest.get((row.entry, axis), (0.0, 0.0, 0.0))
                furthest[row.entry, axis] = max(so_far, (abs(lies / asked - 1), asked, lies))
    for (entry, axis), (off, asked, lies) in furthest.items():
        yield (
            f"{entry}: its masks were cut as near to what was asked for as whole units allow; the furthest is "
            f"{100 * off:.2g} % away ({lies:.4g} instead of {asked:g}, {AXES[axis]})."
        )


def _repeated(rows: Iterable[Row]) -> Iterator[str]:
    """For each entry with rounds that removed no unit: which, and what they count as."""
    rounds: dict[str, dict[int, set[int]]] = {}
    for (entry, _, _, _, round, _, _), first in same_again(rows).items():
        if round is not None:
            rounds.setdefault(entry, {}).setdefault(first, set()).add(round)
    for entry, found in sorted(rounds.items()):
        which = "; ".join(
            f"{_numbered(sorted(again))}, which {'is' if len(again) == 1 else 'are'} the network of round {first}"
            for first, again in sorted(found.items())
        )
        yield (
            f"{entry}: rounds that removed no unit: {which}. They are trained again and compared nowhere; their "
            "numbers are in results.jsonl."
        )


def _numbered(rounds: Sequence[int]) -> str:
    return " and ".join(filter(None, [", ".join(map(str, rounds[:-1])), str(rounds[-1])]))


def _emptied(rows: Iterable[Row]) -> Iterator[str]:
    """For each entry with networks that have layers without any unit left: where, and in how many.

    Such a network may be whole, as where a residual branch is empty: it is ranked unless its outputs are constant.
    """
    judged: dict[str, dict[float, set[RunId]]] = {}
    most: dict[str, int] = {}
    for row in rows:
        if row.empty_layers and row.density is not None:
            judged.setdefault(row.entry, {}).setdefault(row.density, set()).add(row.run)
            most[row.entry] = max(most.get(row.entry, 0), row.empty_layers)
    for entry, places in judged.items():
        where = ", ".join(f"{density:.3g} ({len(runs)})" for density, runs in sorted(places.items(), reverse=True))
        layers = "1 layer" if most[entry] == 1 else f"up to {most[entry]} layers"
        yield (
            f"{entry}: {layers} without any unit left, at these densities (in so many judged networks): {where}. They "
            'count as "collapsed" only where their outputs are the same for every example.'
        )


def _unscored(rows: Iterable[Row]) -> Iterator[str]:
    """For each entry whose score said nothing of some layers: which."""
    layers: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.unscored_layers:
            layers.setdefault(row.entry, {}).update(dict.fromkeys(row.unscored_layers))
    for entry, names in layers.items():
        shown = ", ".join(list(names)[:4]) + (f" and {len(names) - 4} more" if len(names) > 4 else "")
        yield (
            f"{entry}: every unit of {shown} scored exactly 0, as where a branch is initialised to zero: the score "
            "says nothing of these layers, and a cut across the network takes them first."
        )


def _remarks(rows: Iterable[Row]) -> Iterator[str]:
    """What components had to say of tickets: each remark with the entry and in how many judged networks."""
    said: dict[tuple[str, str], set[RunId]] = {}
    for row in rows:
        if row.note and row.role == "evaluate":
            said.setdefault((row.entry, row.note), set()).add(row.run)
    for (entry, note), runs in said.items():
        yield f"{entry}: {note} ({len(runs)} judged {'network' if len(runs) == 1 else 'networks'})."


def _group(where: ModelData, tried: Tried, source: Source, results: Results, against: str | None) -> Group:
    alpha, metric = results.provenance.report.alpha, tried.metric
    scores: Scores = {}
    if metric.name == results.provenance.judged_by:
        scores = image_scores(tried.cells.by_where, results.details, *where)
    cells = {at: _with_intervals(cell, metric, scores.get(at), alpha) for at, cell in tried.cells.by_where.items()}
    places = tried.cells.places
    whole: _Whole = {
        name: {place: cells.get((name, 1.0 if name in tried.dense else place), Cell()) for place in places}
        for name in tried.entries
    }
    ranked = [name for name in tried.entries if name not in tried.dense]
    competing = [name for name in ranked if any(cell.trials for cell in whole[name].values())]
    shared = tuple(place for place in places if place < 1 and all(whole[name][place].trials for name in competing))
    raw = comparisons({name: seed_scores(_at(whole[name], shared)) for name in competing}, alpha)
    tests = {at: Compared(difference_within(one.pair, metric.low, metric.high), one.p) for at, one in raw.items()}
    merits = {name: _merit(whole[name], shared, tried) for name in competing} if shared else {}
    several = {name: own for name, own in merits.items() if _seeds(whole[name], shared) > 1}
    contest = several if len(several) > 1 else {}  # alone, an entry is neither above nor below any
    ranks_of = {place.entry: place for place in shared_ranks(contest, tests, metric.higher, alpha)}
    ordered = sorted(merits, key=merits.__getitem__)
    order = (*ordered, *(name for name in ranked if name not in merits))
    references = [name for name in tried.entries if name in tried.dense]
    shown = {name: whole[name] for name in (*references, *order)}
    reference = _reference(whole, references, against)
    kept = {name: _kept(whole, name, reference, tried, alpha) for name in ranked} if reference is not None else {}
    labels = percent_labels(places)
    return Group(
        model=where[0],
        data=where[1],
        metric=metric,
        axis=source.axis,
        columns=tuple(Column(place, labels[place], tried.cells.overall.get(place)) for place in places),
        entries={
            name: _entry(name, tried, whole[name], cells, shared, ranks_of.get(name), kept.get(name), alpha)
            for name in tried.entries
        },
        order=order,
        shared=shared,
        comparisons=tests,
        differences=None if against is None else differences_of(shown, tried, against, scores, alpha),
        reference=reference,
        images=_images(scores, cells.values()),
        unplaced=tried.cells.unplaced,
    )


def _entry(
    name: str,
    tried: Tried,
    whole: Mapping[float, Cell],
    cells: Mapping[tuple[str, float], Cell],
    shared: Sequence[float],
    place: Place | None,
    kept: Smallest | None,
    alpha: float,
) -> Entry:
    own = {at: cell for (entry, at), cell in cells.items() if entry == name}
    counts = Counter(outcome for cell in own.values() for outcome in cell.broken.values())
    counts.update(outcome for entry, _, outcome in tried.cells.unplaced if entry == name)
    counts["ok"] = sum(cell.n for cell in own.values())
    by_seed = areas({at: whole[at].values for at in shared}) if len(shared) > 1 else {}
    return Entry(
        name=name,
        dense=name in tried.dense,
        rank=None if place is None else place.rank,
        leader=None if place is None else place.leader,
        cells=dict(sorted(own.items(), reverse=True)),
        areas=by_seed,
        area=_interval(by_seed, tried.metric, alpha),
        smallest=kept,
        outcomes={outcome: counts[outcome] for outcome in _OUTCOMES},
    )


def _with_intervals(cell: Cell, metric: Metric, scores: Mapping[int, NDArray[float64]] | None, alpha: float) -> Cell:
    return replace(
        cell,
        interval=_interval(cell.values, metric, alpha),
        inclusive_interval=_interval(cell.inclusive, metric, alpha),
        over_images=None if scores is None else image_interval(mean_over_seeds(scores), alpha),
    )


def _interval(values: Mapping[int, float], metric: Metric, alpha: float) -> Interval | None:
    return within(student_interval(values.values(), alpha), metric.low, metric.high) if values else None


def _at(cells: Mapping[float, Cell], places: Sequence[float]) -> list[Mapping[int, float]]:
    return [cells[place].values for place in places]


def _seeds(cells: Mapping[float, Cell], shared: Sequence[float]) -> int:
    """With how many seeds an entry was tried at the places that its rank would be by."""
    return len({seed for place in shared for seed in (*cells[place].values, *cells[place].broken)})


def _merit(cells: Mapping[float, Cell], shared: Sequence[float], tried: Tried) -> tuple[int, float]:
    broken = sum(len(cell.broken) for cell in cells.values())
    return merit(_at(cells, shared), broken, tried.metric.higher)


def _reference(whole: _Whole, references: Sequence[str], against: str | None) -> str | None:
    """The dense network whose value is to be kept: the one that the file compares with, or else the first."""
    name = against if against in references else next(iter(references), None)
    return name if name is not None and any(cell.values for cell in whole[name].values()) else None


def _kept(whole: _Whole, name: str, reference: str, tried: Tried, alpha: float) -> Smallest:
    walk = [
        Step(place, cell.values, frozenset(cell.broken))
        for place, cell in whole[name].items()
        if place < 1 and cell.trials
    ]
    held = next(cell.values for cell in whole[reference].values())
    return smallest(walk, held, tried.metric.higher, alpha)


def _images(scores: Scores, cells: Iterable[Cell]) -> Images | None:
    if not scores:
        return None
    count = next(iter(next(iter(scores.values())).values())).size
    return Images(int(count), RESAMPLES, len(scores) >= sum(bool(cell.values) for cell in cells))


def _blocks(groups: Sequence[Group], alpha: float) -> Blocks:
    """Mean ranks over the groups that have any; a group's value is a mean over its seeds and places."""
    used = [group for group in groups if group.shared]
    ranked = {name: 0 for group in used for name in group.ranked}
    names = [name for name in ranked if all(_is_tried(group, name) for group in used)]
    partial = tuple(name for name in ranked if name not in names)
    blocks = tuple((group.model, group.data) for group in used)
    if len(names) < 2 or not used:
        return Blocks(blocks, {}, None, None, None, "fewer than two entries were ranked in every block", partial)
    in_blocks = [ranks([_merit_of(group, name) for name in names]) for group in used]
    means = {name: mean(block[i] for block in in_blocks) for i, name in enumerate(names)}
    test = friedman(in_blocks, alpha)
    ordered = dict(sorted(means.items(), key=lambda item: item[1]))
    return Blocks(blocks, ordered, test.statistic, test.p, test.critical, test.why, partial)


def _is_tried(group: Group, name: str) -> bool:
    entry = group.entries.get(name)
    return entry is not None and not entry.dense and all(entry.at(place).trials for place in group.shared)


def _merit_of(group: Group, name: str) -> tuple[int, float]:
    entry = group.entries[name]
    broken = sum(len(cell.broken) for cell in entry.cells.values())
    return merit([entry.at(place).values for place in group.shared], broken, group.metric.higher)
