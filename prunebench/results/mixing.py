"""Whether two results may stand in one table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from prunebench.api.errors import PrunebenchError
from prunebench.api.results import Results
from prunebench.results.provenance import FIRST_SCHEMA


def check_mixable(a: Results, b: Results) -> None:
    """Nothing if the rows of both may be ranked together.

    They may not if they differ in schema, in the fields of their rows, in the version or distribution of a component
    that both used, in profile or in changed settings, or if they have different values for one measurement.

    Raises: PrunebenchError, with everything that differs.
    """
    found = [
        *_schema(a, b),
        *_components(a.provenance, b.provenance),
        *_recipe(a.provenance, b.provenance),
        *_values(a, b),
    ]
    if found:
        listed = "\n".join(f"  {line}" for line in found)
        raise PrunebenchError(f'results of "{a.name}" and "{b.name}" cannot be mixed:\n{listed}')


def _schema(a: Results, b: Results) -> list[str]:
    ours, theirs = (one.provenance.get("schema", FIRST_SCHEMA) for one in (a, b))
    if ours != theirs:
        return [f"schema: {ours} and {theirs}; write the older one again with the newer prunebench"]
    if not a.rows or not b.rows:
        return []
    # a mark that only some rows have is no field of the schema
    fields = [set(one.rows[0]) - {"environments"} for one in (a, b)]
    apart = sorted(fields[0] ^ fields[1])
    return [f"fields of the rows: only one has {', '.join(apart)}"] if apart else []


def _components(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    ours, theirs = a["components"], b["components"]
    found = []
    for name in sorted(ours.keys() & theirs.keys()):
        one, other = ours[name], theirs[name]
        if one["version"] != other["version"]:
            found.append(f'component "{name}": version {one["version"]} and {other["version"]}')
        # the distribution's own version may change while the component's numbers do not
        origins = [str(about["distribution"]).split(" ")[0] for about in (one, other)]
        if origins[0] != origins[1]:
            found.append(f'component "{name}": from {origins[0]} and from {origins[1]}')
    return found


def _recipe(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    found = []
    if a.get("profile") != b.get("profile"):
        found.append(f"profile: {_said(a.get('profile'))} and {_said(b.get('profile'))}")
    ours, theirs = (sorted(one.get("settings", ())) for one in (a, b))
    if ours != theirs:
        found.append(f"settings: {', '.join(ours) or 'none'} and {', '.join(theirs) or 'none'}")
    return found


def _said(profile: object) -> str:
    return "none" if profile is None else f'"{profile}"'


def _values(a: Results, b: Results) -> list[str]:
    """Measurements that both have, with different values: the first of them, and how many."""
    identity = ("entry", "model", "data", "seed", "round", "draw", "twin", "role", "position", "metric", "split")
    ours = {tuple(row[name] for name in identity): row["value"] for row in a.rows}
    apart = []
    for row in b.rows:
        at = tuple(row[name] for name in identity)
        if ours.get(at, row["value"]) != row["value"]:
            apart.append((at, row["value"]))
    if not apart:
        return []
    at, value = apart[0]
    named = dict(zip(identity, at, strict=True))
    return [
        f'{len(apart)} measurements have two values, the first being entry "{named["entry"]}", seed {named["seed"]}, '
        f"round {named['round']}, {named['split']}/{named['metric']} at {named['position']}: {ours[at]!r} and {value!r}"
    ]
