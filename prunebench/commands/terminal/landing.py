"""What `plan` and `check` show of where tickets will lie."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table
from rich.text import Text

from prunebench.api.board import AxisName
from prunebench.commands.terminal.durations import duration_text
from prunebench.commands.terminal.plain_table import plain_table
from prunebench.runner.estimate import Estimate
from prunebench.runner.landing import Landing
from prunebench.runner.preparing import Prepared

NOT_YET = "found while pruning"

DO: dict[AxisName, str] = {
    "density_macs": '; for tickets at chosen places write density_of = "macs"',
    "density_all": '; for tickets at chosen places write density_of = "parameters"',
    "latency": ", where an analysis measures it",
}


def entries_table(prepared: Prepared, time: Estimate, landed: Sequence[Landing]) -> Table:
    """Where the tickets of each entry lie, and how long it takes alone."""
    axis, timed = prepared.benchmark.report.axis, bool(time.entries)
    on_axis = [] if axis == "density" else [f"lies at {axis}"]
    table = plain_table("entry", "judged at density", *on_axis, *(["alone takes"] if timed else []), numbers=int(timed))
    several = len({one.model for one in landed}) > 1, len({one.data for one in landed}) > 1
    for entry in prepared.benchmark.entries:
        cost = time.entries.get(entry.name)
        takes = "" if cost is None else duration_text(cost) if cost else "nothing"
        own = [one for one in landed if one.entry == entry.name]
        if len({(_density(one), _place(one)) for one in own}) == 1:
            own = own[:1]  # all of its networks alike
        for index, one in enumerate(own):
            where = [name for name, more in zip((one.model, one.data), several, strict=True) if more and len(own) > 1]
            shares = [_density(one), _place(one)][: 1 + len(on_axis)]
            row: list[Text | str] = [
                Text(", ".join([entry.name, *where])),
                *shares,
                *([takes if index == 0 else ""] if timed else []),
            ]
            table.add_row(*row)
    return table


def remarks_on(landed: Sequence[Landing], axis: AxisName) -> Iterator[str]:
    """What a reader must know of the places of the board before anything trains."""
    if any(one.place is None for landing in landed for one in landing.tickets):
        yield f"Where tickets lie on {axis} is {NOT_YET} (?){DO.get(axis, '')}."
    for landing in landed:
        if again := landing.again():
            yield (
                f'entry "{landing.entry}", {landing.model} on {landing.data}: {again} of its {len(landing.tickets)} '
                "judged rounds remove no unit: each is the network of the round before, trained once more, and the "
                "board compares it nowhere; ask for fewer rounds or a larger cut"
            )
        if places := landing.without():
            known = ", ".join(f"{one.place:.3g}" for one in landing.tickets if one.place is not None)
            yield (
                f'entry "{landing.entry}", {landing.model} on {landing.data}: there will be no value at '
                f"{', '.join(f'{place:g}' for place in places)}: its tickets lie at {known}, too far away"
            )


def _density(landing: Landing) -> str:
    return _list([one.density for one in landing.tickets])


def _place(landing: Landing) -> str:
    return _list([one.place for one in landing.tickets])


def _list(shares: Sequence[float | None]) -> str:
    if all(share is None for share in shares):
        return NOT_YET
    return ", ".join(dict.fromkeys("?" if share is None else f"{share:.3g}" for share in shares))
