"""Whether the details say what the rows say: layers and their counts, and which test examples are right."""

from __future__ import annotations

import base64
import binascii
import math
from collections.abc import Iterator

from prunebench.api.details import EvaluationDetail
from prunebench.api.results import Results, final_rows
from prunebench.plan.trial import Plan
from prunebench.verification.audit.wording import detail_text, listed, trial_of

_ACCURACY = "test/accuracy"


def other_details(results: Results, plan: Plan) -> Iterator[str]:
    """What contradicts the plan or the rows, a sentence each."""
    layers = {(t.entry, t.model, t.data, t.seed): [(one.name, one.count) for one in t.layers] for t in plan.trials}
    judged = {(row.trial, row.round, row.draw): row for row in final_rows(results.rows, _ACCURACY)}
    densities = {(row.trial, row.round, row.draw): row.density for row in results.rows if row.role == "evaluate"}
    wrong_layers, wrong_counts, wrong_examples = [], [], []
    for line in results.details:
        if not isinstance(line, EvaluationDetail):
            continue
        ticket = trial_of(line), line.round, line.draw
        if [(one.name, one.units) for one in line.layers] != layers.get(ticket[0], []):
            wrong_layers.append(detail_text(line))
        elif not _counts_fit(line, densities.get(ticket)):
            wrong_counts.append(detail_text(line))
        row = judged.get(ticket)
        if row is not None and line.correct is not None and not _examples_fit(line.correct, row.value):
            wrong_examples.append(detail_text(line))
    yield from listed("details with other layers than the network's", wrong_layers)
    yield from listed("layers that do not make up the density of their rows", wrong_counts)
    yield from listed(f"test examples that do not make up {_ACCURACY}", wrong_examples)


def _counts_fit(line: EvaluationDetail, density: float | None) -> bool:
    kept = [one.kept for one in line.layers]
    if density is None or None in kept:
        return True  # a run without a ticket
    if any(not 0 <= (one.kept or 0) <= one.units for one in line.layers):
        return False
    units = sum(one.units for one in line.layers)
    return not units or math.isclose(sum(count or 0 for count in kept) / units, density, rel_tol=1e-12)


def _examples_fit(correct: str, accuracy: float | None) -> bool:
    """Whether some number of examples, which the bits are of, gives this accuracy."""
    try:
        packed = base64.b64decode(correct, validate=True)
    except (ValueError, binascii.Error):
        return False
    right, most = sum(byte.bit_count() for byte in packed), 8 * len(packed)
    return accuracy is None or any(
        math.isclose(right / examples, accuracy, rel_tol=1e-6, abs_tol=1e-9)
        for examples in range(max(1, most - 7), most + 1)
    )
