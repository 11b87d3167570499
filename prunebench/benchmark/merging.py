"""Raw tables of a benchmark file: reading, `extends`, profiles, grids. Everything here is before validation.

Merge rules, the same wherever one table is laid over another (a file over the file that it extends, a profile over
the file, an entry over the entry that it extends, `find` over `train`):

- tables merge key by key; everything else, lists too, is replaced;
- a string that stands for `{ use = ... }` is that table first; a changed `use` replaces its table;
- entries merge by name; new ones are appended;
- `cut`, `rounds` and `densities` belong together: a layer that states `cut` or `rounds` without `densities`
  evaluates all of its rounds.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prunebench.api.errors import ConfigError, close_to, nearest
from prunebench.benchmark.toml import Printed, Table

RECIPE_LISTS = ("lr", "loss", "mask_updates")

ENTRY_SINGLE = ("schedule", "score", "select", "units")

ENTRY_LISTS = ("ticket", "analyse", "loss", "mask_updates")

RECIPES = ("train", "find", "evaluate")


def read_file(path: Path, seen: tuple[Path, ...] = ()) -> Table:
    """A benchmark file as a table, with the files that it extends merged below it.

    Raises:
        ConfigError: a missing or malformed file, or a cycle of `extends`.
    """
    path = path.resolve()
    if path in seen:
        chain = " -> ".join(p.name for p in (*seen, path))
        raise ConfigError([f"extends: the files extend one another in a circle: {chain}"])
    of = f"extends: {path}: " if seen else ""  # what the reader named is told by the caller
    try:
        raw: Table = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Printed)
    except FileNotFoundError:
        near = close_to(path.name, [p.name for p in path.parent.glob("*.toml")]) if path.parent.is_dir() else ""
        raise ConfigError([f"{of}no such file.{near}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError([f"{of}not a TOML file: {error}"]) from None
    raw = normalise(raw)
    base = raw.pop("extends", None)
    if base is None:
        return raw
    if not isinstance(base, str):
        raise ConfigError([f"extends: the path of another file is needed, not {base!r}"])
    return merge(read_file(path.parent / base, (*seen, path)), raw)


def normalise(raw: Mapping[str, Any]) -> Table:
    """Strings that stand for `{ use = ... }` become that table, single `[data]` and `[model]` lists of one."""
    table: Table = dict(raw.items())
    for key in ("data", "model"):
        if key in table:
            value = table[key]
            table[key] = [_used(v) for v in (value if isinstance(value, list) else [value])]
    for key in RECIPES:
        if isinstance(table.get(key), Mapping):
            table[key] = normalise_recipe(table[key])
    if isinstance(table.get("entry"), list):
        table["entry"] = [normalise_entry(e) if isinstance(e, Mapping) else e for e in table["entry"]]
    if isinstance(table.get("profile"), Mapping):
        table["profile"] = {
            name: normalise(dotted(profile)) if isinstance(profile, Mapping) else profile
            for name, profile in table["profile"].items()
        }
    for owner, key in (("execution", "track"), ("report", "also")):
        if isinstance(table.get(owner), Mapping) and key in table[owner]:
            table[owner] = {**table[owner], key: _listed(table[owner][key])}
    return table


def normalise_recipe(raw: Mapping[str, Any]) -> Table:
    """The same for one recipe."""
    table = dotted(raw)
    if "optimizer" in table:
        table["optimizer"] = _used(table["optimizer"])
    for key in RECIPE_LISTS:
        if key in table:
            table[key] = _listed(table[key])
    return table


def normalise_entry(raw: Mapping[str, Any]) -> Table:
    """The same for one entry."""
    grid = raw.get("grid")
    table = dotted({k: v for k, v in raw.items() if k != "grid"})
    for key in ENTRY_SINGLE:
        if key in table:
            table[key] = _used(table[key])
    for key in ENTRY_LISTS:
        if key in table:
            table[key] = _listed(table[key])
    for key in RECIPES:
        if isinstance(table.get(key), Mapping):
            table[key] = normalise_recipe(table[key])
    if grid is not None:
        table["grid"] = grid
    return table


def _used(value: Any) -> Any:
    return {"use": value} if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    return [_used(v) for v in value] if isinstance(value, list) else [_used(value)]


def dotted(raw: Mapping[str, Any]) -> Table:
    """Quoted keys with dots, `"find.optimizer.lr" = 0.1`, become nested tables."""
    table: Table = {}
    for key, value in raw.items():
        *path, last = key.split(".")
        place = table
        for part in path:
            below = place.get(part, {})
            if not isinstance(below, Mapping):
                raise ConfigError([f"{key}: {part!r} is a value, not a table"])
            place[part] = place = dict(below)  # a copy: the table may be the caller's
        if isinstance(place.get(last), dict) and isinstance(value, Mapping):
            place[last] = merge(place[last], value)
        else:
            place[last] = value
    return table


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> Table:
    """`over` laid on `base`, by the rules at the top of this file."""
    states_chain = ("cut" in over or "rounds" in over) and "densities" not in over
    table: Table = {k: v for k, v in base.items() if not (states_chain and k == "densities")}
    for key, value in over.items():
        old = table.get(key)
        if key == "entry" and isinstance(old, list) and isinstance(value, list):
            table[key] = _merge_entries(old, value)
        elif key == "profile" and isinstance(old, Mapping) and isinstance(value, Mapping):
            table[key] = {**old, **{name: _laid(old.get(name), profile, merge) for name, profile in value.items()}}
        elif key in ("data", "model") and isinstance(value, Mapping) and isinstance(old, list):
            table[key] = [_laid(item, value) for item in old]
        elif key in ("data", "model") and isinstance(value, list) and isinstance(old, list):
            same = len(old) == len(value) == 1
            table[key] = [_laid(old[0], value[0])] if same else list(value)
        else:
            table[key] = _laid(old, value)
    return table


def _laid(old: Any, new: Any, merged: Callable[[Table, Table], Table] | None = None) -> Any:
    """One value over another. `cut` and `densities` mean nothing special inside of a component's table."""
    if not isinstance(old, Mapping) or not isinstance(new, Mapping) or new.get("use", old.get("use")) != old.get("use"):
        return new
    if merged is not None:
        return merged(dict(old), dict(new))
    return {**old, **{key: _laid(old.get(key), value) for key, value in new.items()}}


def _merge_entries(old: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    merged = list(old)
    index = {e.get("name"): i for i, e in enumerate(merged) if isinstance(e, Mapping)}
    for entry in new:
        name = entry.get("name") if isinstance(entry, Mapping) else None
        if name in index:
            merged[index[name]] = merge(merged[index[name]], entry)
        else:
            merged.append(entry)
    return merged


def apply_setting(raw: Table, setting: str) -> Table:
    """`--set KEY=VALUE`: a dotted key; entries are reached as `entry.NAME.key`; the value is TOML or a plain string.

    Raises:
        ConfigError: no "=", or an entry that does not exist.
    """
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise ConfigError([f"--set {setting}: write KEY=VALUE"])
    try:
        value = tomllib.loads(f"value = {text}", parse_float=Printed)["value"]
    except tomllib.TOMLDecodeError:
        value = text.strip()
    path = key.strip().split(".")
    if path[0] == "entry" and len(path) > 2:
        names = [str(e.get("name")) for e in raw.get("entry", []) if isinstance(e, Mapping)]
        rest = ".".join(path[1:])
        # Names may hold dots, as those of a learning rate do: the longest that fits is meant.
        name = max((n for n in names if rest.startswith(f"{n}.")), key=len, default=None)
        if name is None:
            raise ConfigError([f'--set {setting}: no entry "{path[1]}".{nearest(path[1], names)}'])
        over: Table = {"entry": [normalise_entry({"name": name, rest.removeprefix(f"{name}."): value})]}
    elif path[0] in ("data", "model") and len(path) > 1:
        return merge(raw, dotted({".".join(path): value}))
    else:
        over = normalise(dotted({".".join(path): value}))
    return merge(raw, over)
