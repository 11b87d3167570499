"""Raw tables laid over one another: `extends`, profiles, entries, recipes. Everything here is before validation.

Merge rules, the same wherever one table is laid over another (a file over the file that it extends, a profile over
the file, an entry over the entry that it extends, `find` over `train`):

- tables merge key by key; everything else, lists too, is replaced;
- a string that stands for `{ use = ... }` is that table first; a changed `use` replaces its table;
- entries merge by name; new ones are appended;
- `cut`, `rounds` and `densities` belong together: a layer that states `cut` or `rounds` without `densities`
  evaluates all of its rounds;
- `prune` stands in the place of `score` and `select`: a layer that states one of the two ways drops the other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from prunebench.api.component import Slot
from prunebench.api.errors import ConfigError, nearest
from prunebench.api.problems import shortened
from prunebench.api.recipe import Recipe
from prunebench.api.strict import StrictTable
from prunebench.benchmark import bounds
from prunebench.benchmark.entries import Entry
from prunebench.benchmark.tables import Execution, Report
from prunebench.benchmark.toml import NotTomlError, Table, bounded, parsed, read_table


def slots(table: type[StrictTable]) -> dict[str, Slot]:
    """The keys of a table in which components stand."""
    marked = {field.alias or name: field.metadata for name, field in table.model_fields.items()}
    return {key: mark for key, marks in marked.items() for mark in marks if isinstance(mark, Slot)}


RECIPE_SLOTS = slots(Recipe)
LAID_OVER_RECIPES = ("loss", "mask_updates")
"""Keys of an entry that are laid over both of its recipes."""
ENTRY_SLOTS = {**slots(Entry), **{key: RECIPE_SLOTS[key] for key in LAID_OVER_RECIPES}}
RECIPES = ("train", "find", "evaluate")
CHOICES = ("data", "model")
_OWNERS: Mapping[str, Mapping[str, Slot]] = {"report": slots(Report), "execution": slots(Execution)}


def read_file(path: Path, seen: tuple[Path, ...] = ()) -> Table:
    """A benchmark file as a table, with the files that it extends merged below it.

    Raises:
        ConfigError: a missing or malformed file, or a cycle of `extends`.
    """
    of = f"extends: {path}: " if seen else ""  # the file that the reader named is named by the caller
    try:
        path = path.resolve()
        raw = normalise(read_table(path))
    except (OSError, RuntimeError, ValueError) as error:  # a path of NUL or of links in a circle
        raise ConfigError([f"{of}not a TOML file: {error}"]) from None
    except ConfigError as error:
        raise ConfigError([f"{of}{message}" for message in error.errors]) from None
    if path in seen:
        chain = " -> ".join(p.name for p in (*seen, path))
        raise ConfigError([f"extends: the files extend one another in a circle: {chain}"])
    if len(seen) >= bounds.CHAIN:
        raise ConfigError([f"extends: more than {bounds.CHAIN} files extend one another"])
    base = raw.pop("extends", None)
    if base is None:
        return raw
    if not isinstance(base, str):
        raise ConfigError([f"extends: the path of another file is needed, not {shortened(base)}"])
    return merge(read_file(path.parent / base, (*seen, path)), raw)


def normalise(raw: Mapping[str, Any]) -> Table:
    """Strings that stand for `{ use = ... }` become that table, single `[data]` and `[model]` lists of one."""
    table = _with_tables(raw, {"task": ENTRY_SLOTS["task"]})
    for key in CHOICES:
        if key in table:
            table[key] = _listed(table[key])
    if "model" in table:
        table["model"] = [_with_tables(one, {}) if isinstance(one, Mapping) else one for one in table["model"]]
    if isinstance(table.get("entry"), list):
        table["entry"] = [normalise_entry(e) if isinstance(e, Mapping) else e for e in table["entry"]]
    if isinstance(table.get("profile"), Mapping):
        table["profile"] = {
            name: normalise(dotted(profile)) if isinstance(profile, Mapping) else profile
            for name, profile in table["profile"].items()
        }
    return table


def normalise_entry(raw: Mapping[str, Any]) -> Table:
    """The same for one entry."""
    table = _with_tables(dotted({key: value for key, value in raw.items() if key != "grid"}), ENTRY_SLOTS)
    if isinstance(table.get("model"), Mapping):
        table["model"] = _with_tables(dotted(table["model"]), {})
    return {**table, "grid": raw["grid"]} if "grid" in raw else table


def _with_tables(raw: Mapping[str, Any], components: Mapping[str, Slot]) -> Table:
    """A table whose components are tables, and those of its recipes, of its report and of its execution."""
    table = dict(raw)
    for key in components.keys() & table.keys():
        table[key] = _listed(table[key]) if components[key].many else _used(table[key])
    for key in RECIPES:
        if isinstance(table.get(key), Mapping):
            table[key] = _with_tables(dotted(table[key]), RECIPE_SLOTS)
    for key, of_owner in _OWNERS.items():
        if isinstance(table.get(key), Mapping):
            table[key] = _with_tables(table[key], of_owner)
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
        if len(path) >= bounds.DEPTH:
            raise ConfigError([f"{shortened(key)}: a key has more than {bounds.DEPTH} parts"])
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
    dropped = set()
    if ("cut" in over or "rounds" in over) and "densities" not in over:
        dropped.add("densities")
    if "prune" in over:
        dropped |= {"score", "select"}
    if "score" in over or "select" in over:
        dropped.add("prune")
    table: Table = {k: v for k, v in base.items() if k not in dropped}
    for key, value in over.items():
        old = table.get(key)
        if key == "entry" and isinstance(old, list) and isinstance(value, list):
            table[key] = _merge_entries(old, value)
        elif key == "profile" and isinstance(old, Mapping) and isinstance(value, Mapping):
            table[key] = {**old, **{name: _over(old.get(name), profile, merge) for name, profile in value.items()}}
        elif key in CHOICES and isinstance(value, Mapping) and isinstance(old, list):
            table[key] = [component_over(item, value) for item in old]
        elif key in CHOICES and isinstance(value, list) and isinstance(old, list):
            same = len(old) == len(value) == 1
            table[key] = [component_over(old[0], value[0])] if same else list(value)
        else:
            table[key] = component_over(old, value)
    return table


def component_over(old: Any, new: Any) -> Any:
    """One value over another. `cut`, `densities` and the like mean nothing special inside of a component's table."""
    return _over(old, new, lambda old, new: {**old, **{k: component_over(old.get(k), v) for k, v in new.items()}})


def _over(old: Any, new: Any, merged: Callable[[Table, Table], Table]) -> Any:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping) or new.get("use", old.get("use")) != old.get("use"):
        return new
    return merged(dict(old), dict(new))


def _merge_entries(old: Sequence[Any], new: Sequence[Any]) -> list[Any]:
    merged = list(old)
    index = {name: i for i, entry in enumerate(merged) if (name := _name_of(entry)) is not None}
    for entry in new:
        name = _name_of(entry)
        if name is not None and name in index:
            merged[index[name]] = merge(merged[index[name]], entry)
        else:
            merged.append(entry)
    return merged


def _name_of(entry: Any) -> str | None:
    name = entry.get("name") if isinstance(entry, Mapping) else None
    return name if isinstance(name, str) else None


def apply_setting(raw: Table, setting: str) -> Table:
    """`--set KEY=VALUE`: a dotted key; entries are reached as `entry.NAME.key`; the value is TOML or a plain string.

    Raises:
        ConfigError: no "=", a value beyond a bound, or an entry that does not exist.
    """
    key, equals, text = setting.partition("=")
    if not equals or not key.strip():
        raise ConfigError([f"--set {setting[:80]}: write KEY=VALUE"])
    try:
        stated = parsed(f"value = {text}")
        value = stated["value"] if len(stated) == 1 else text.strip()
    except NotTomlError:
        value = bounded({"value": text.strip()})["value"]
    path = key.strip().split(".")
    if path[0] == "entry" and len(path) > 2:
        entries = raw.get("entry", [])
        names = [name for e in (entries if isinstance(entries, list) else []) if (name := _name_of(e)) is not None]
        rest = ".".join(path[1:])
        # Names may hold dots, as those of a learning rate do: the longest that fits is meant.
        name = max((n for n in names if rest.startswith(f"{n}.")), key=len, default=None)
        if name is None:
            raise ConfigError([f'--set {setting}: no entry "{path[1]}".{nearest(path[1], names)}'])
        over: Table = {"entry": [normalise_entry({"name": name, rest.removeprefix(f"{name}."): value})]}
    elif path[0] in CHOICES and len(path) > 1:
        over = dotted({".".join(path): value})
    else:
        over = normalise(dotted({".".join(path): value}))
    return merge(raw, over)
