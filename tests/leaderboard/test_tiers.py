import hashlib
import json
from pathlib import Path
from typing import Any

from prunebench.api.provenance import Provenance
from prunebench.leaderboard.tiers import tier, verification_of

from .boards import results, typed, write

RECORD: dict[str, Any] = {
    "tier": "re-executed",
    "when": "2026-03-04",
    "hardware": {"cpu": "Other CPU"},
    "environment": {"torch": "2.15.0"},
    "bit_equal": True,
    "entries": ["imp"],
    "seeds": [0],
    "numbers": 120,
}


def provenance(record: dict[str, Any]) -> Provenance:
    return typed(results()).provenance.model_copy(update={"verification": record})


def recorded(folder: Path) -> None:
    digest = hashlib.sha256((folder / "results.jsonl").read_bytes()).hexdigest()
    (folder / "verification.json").write_text(json.dumps({**RECORD, "results": digest}))


def test_a_leaderboard_is_self_reported_until_it_was_executed_again(tmp_path: Path) -> None:
    assert "Tier: **self-reported**" in write(tmp_path, results())


def test_a_record_counts_for_the_very_results_that_it_is_of(tmp_path: Path) -> None:
    write(tmp_path, results())
    assert verification_of(tmp_path, typed(results()).rows) is None
    recorded(tmp_path)
    assert verification_of(tmp_path, typed(results()).rows) is not None
    other = results()
    other[0]["value"] += 0.001
    assert verification_of(tmp_path, typed(other).rows) is None
    (tmp_path / "verification.json").write_text("{")
    assert verification_of(tmp_path, typed(results()).rows) is None


def test_the_tier_says_when_where_how_much_and_how_exactly() -> None:
    said = tier(provenance(RECORD))
    for part in ("re-executed", "2026-03-04", "Other CPU", "120 numbers of imp", "1 seeds", "bit for bit"):
        assert part in said
    assert "within the registered tolerance" in tier(provenance({**RECORD, "bit_equal": False}))
