import json
from pathlib import Path
from typing import Any

import pytest

from prunebench.api.provenance import VerificationRecord
from prunebench.leaderboard.tiers import tier
from prunebench.results.details import details_text
from prunebench.results.rows import rows_text
from prunebench.results.verification import record_of, record_text, sha256_of_text

from .boards import results, typed, write

WHOLE = typed(results())
RECORD = VerificationRecord(
    when="2026-03-04",
    hardware={"cpu": "Other CPU"},
    environment={"torch": "2.15.0"},
    bit_equal=True,
    entries=("imp",),
    seeds=(0,),
    numbers=4,
    results=sha256_of_text(rows_text(WHOLE.rows)),
    details=sha256_of_text(details_text(WHOLE.details)),
)


def told(**changes: Any) -> str:
    record = RECORD.model_copy(update=changes)
    return tier(WHOLE.provenance.model_copy(update={"verification": record}))


def test_a_leaderboard_is_self_reported_and_a_record_is_quoted_as_a_claim(tmp_path: Path) -> None:
    assert "Tier: **self-reported**; `prunebench verify`" in write(tmp_path, results())
    assert told().startswith("Tier: **self-reported**. verification.json claims that 4 numbers (1 of 12 pairs of entry")
    assert "re-executed" not in told()
    assert "a record proves nothing by itself" in told()


def test_a_claim_has_when_where_how_much_and_how_exactly() -> None:
    for part in ("2026-03-04", "Other CPU, torch 2.15.0", "1 of 4 entries", "held bit for bit"):
        assert part in told()
    assert "held within the registered tolerance, in another environment" in told(bit_equal=False)
    assert "every entry and seed" in told(entries=WHOLE.provenance.entries, seeds=(0, 1, 2))
    assert "2 of 12 pairs of entry and seed, 2 of 4 entries, drawn at random" in told(
        cells={"imp": (0,), "dense": (2,)}, drawn=True
    )


def test_a_record_counts_for_the_very_results_that_it_is_of(tmp_path: Path) -> None:
    assert record_of(tmp_path, WHOLE) is None
    (tmp_path / "verification.json").write_text(record_text(RECORD))
    assert record_of(tmp_path, WHOLE) == RECORD
    other = results()
    other[0]["value"] += 0.001
    assert record_of(tmp_path, typed(other)) is None
    (tmp_path / "verification.json").write_text("{")
    assert record_of(tmp_path, WHOLE) is None


@pytest.mark.parametrize(
    "change",
    [
        {"numbers": 5},
        {"entries": ["imp", "late"]},
        {"seeds": [0, 3]},
        {"results": "0" * 64},
        {"details": "0" * 64},
        {"cells": {"imp": [0, 1]}},
        {"tier": 7},
        {"more": 1},
    ],
)
def test_a_record_that_does_not_fit_what_it_claims_does_not_count(tmp_path: Path, change: dict[str, Any]) -> None:
    (tmp_path / "verification.json").write_text(json.dumps({**RECORD.to_json(), **change}))
    assert record_of(tmp_path, WHOLE) is None


def test_a_record_of_an_earlier_version_is_still_read(tmp_path: Path) -> None:
    old = {name: value for name, value in RECORD.to_json().items() if name != "details"} | {"tier": "re-executed"}
    (tmp_path / "verification.json").write_text(json.dumps(old))
    record = record_of(tmp_path, WHOLE)
    assert record is not None
    assert record.covered == {("imp", 0)}
