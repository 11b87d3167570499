"""Tickets in Python: a judged network with its mask, out of a zoo."""

from __future__ import annotations

from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.runner.zoo.index import INDEX
from prunebench.runner.zoo.pull import LoadedTicket, load, tickets_of

ZOO = "zoo"
"""The folder of a leaderboard that its tickets lie in, unless they lie elsewhere."""


def load_ticket(
    place: str | Path,
    entry: str,
    density: float | str,
    seed: int,
    *,
    model: str | None = None,
    data: str | None = None,
    draw: int = 0,
) -> LoadedTicket:
    """A judged ticket: its weights, those that it started from, its mask, and where they come from.

    Args:
        place: a leaderboard's folder whose tickets were pushed to `zoo` in it; or a zoo: a folder, an object store's
            URL, or hf://OWNER/NAME.
        density: as the leaderboard prints it, or the exact share.
        model, data: which, if the zoo has several.
    Raises:
        PrunebenchError: there is no such ticket, or several; says what there is. Or a file is not what the index says.
    Example:
        >>> import prunebench
        >>> ticket = prunebench.load_ticket("leaderboards/quickstart", "imp", 0.029, 0)  # doctest: +SKIP
        >>> network = ticket.model()  # doctest: +SKIP
    """
    folder = Path(place).expanduser()
    if folder.is_dir() and not (folder / INDEX).is_file():
        place = folder / ZOO
    found, tickets = tickets_of(str(place), entry=entry, seed=seed, density=density, model=model, data=data, draw=draw)
    if len(tickets) != 1:
        _, every = tickets_of(str(place))
        shown = "\n    ".join(ticket.trial for ticket in (tickets or every)[:12])
        count = "several tickets are so called" if tickets else "no such ticket"
        raise PrunebenchError(f"{place}: {count}; there are\n    {shown}")
    return load(found, tickets[0])
