"""Whether a leaderboard is of its file's full recipe."""

from __future__ import annotations

from prunebench.api.provenance import Provenance

_HARMLESS = ("execution.", "report.", "track")


def is_reduced(provenance: Provenance) -> bool:
    """Whether the recipe is not the file's full one, so that nothing published is judged."""
    changed = any(not setting.startswith(_HARMLESS) for setting in provenance.settings)
    return provenance.profile is not None or changed
