"""What the keys of a component's configuration mean, read from where its author wrote it."""

from __future__ import annotations

import inspect
import re

from prunebench.api.component import ComponentConfig

_ARGS = re.compile(r"^Args:\n((?:[ ]+.*\n?|\n)*)", re.MULTILINE)
_ARGUMENT = re.compile(r"^(\w+(?:, \w+)*): ", re.MULTILINE)
_IN_PROSE = re.compile(r"(`\w+`(?:, `\w+`)*): ")


def option_meanings(config: type[ComponentConfig]) -> dict[str, str]:
    """The meaning of each key: of its field, or of the docstring, below "Args:" or after "`key`:".

    Where neither names the key so, all that the docstring says.
    """
    text = inspect.cleandoc(config.__doc__ or "")
    named = _after(_ARGUMENT, "".join(inspect.cleandoc("\n" + part[1]) + "\n" for part in _ARGS.finditer(text)))
    named |= {key: meaning for key, meaning in _after(_IN_PROSE, text).items() if key not in named}
    meanings = {}
    for name, field in config.model_fields.items():
        meaning = " ".join((field.description or named.get(name) or text).split())
        meanings[field.alias or name] = meaning[:1].upper() + re.sub(r"[;,]$", ".", meaning[1:])
    return meanings


def _after(mark: re.Pattern[str], text: str) -> dict[str, str]:
    """By name, what stands between its mark and the next."""
    _, *rest = mark.split(text)
    pairs = zip(rest[::2], rest[1::2], strict=True)
    return {name.strip("` "): meaning.strip() for names, meaning in pairs for name in names.split(",")}
