"""What a store keeps, as a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

from prunebench.commands.counted_nouns import counted

if TYPE_CHECKING:
    from prunebench.runner.keeping import Info


def size(count: int) -> str:
    """Bytes as "3.2 MiB"."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def info_table(info: Info) -> RenderableType:
    """Kinds of things with their number and size, environments, and files."""
    if not info.exists:
        return f"{info.place}: nothing is kept there yet."
    kept = info.contents
    kinds = Table(title=info.place, title_justify="left")
    for name in ("kept", "number", "size"):
        kinds.add_column(name, justify="left" if name == "kept" else "right")
    for name, amount in (
        ("payloads of artifacts", kept.payloads()),
        ("records of artifacts", kept.records),
        ("checkpoints of trainings", kept.checkpoints),
        ("answers of probes", kept.cached),
        ("without a record: being written, or left", kept.unfinished),
    ):
        kinds.add_row(name, f"{amount.count:,}", size(amount.size))
    environments = Table(title="By environment", title_justify="left")
    for name in ("made in", "payloads", "size"):
        environments.add_column(name, justify="left" if name == "made in" else "right")
    for name, amount in kept.by_lineage().items():
        environments.add_row(name, f"{amount.count:,}", size(amount.size))
    parts: list[RenderableType] = [kinds]
    if kept.copies:
        parts.append(environments)
    if kept.dropped:
        parts.append(
            f"{counted(kept.dropped, 'artifact')} without a payload: it was freed, and a record alone is left."
        )
    if info.files:
        files = Table(title="By file", title_justify="left")
        for name in ("file", "asks for", "payloads there", "size"):
            files.add_column(name, justify="left" if name == "file" else "right", overflow="fold")
        for needed, amount in info.files:
            files.add_row(needed.file, f"{len(needed.all):,}", f"{amount.count:,}", size(amount.size))
        files.add_row("none of these", "", f"{info.unneeded.count:,}", size(info.unneeded.size))
        parts.append(files)
    return Group(*parts)
