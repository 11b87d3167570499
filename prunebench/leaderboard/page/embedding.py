"""Any value inside an HTML page without a way out of it, and what the page's policy lets run."""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Any

# "<" ends the element or opens a comment; ">" and "&" matter to parsers of other modes. The separators U+2028 and
# U+2029 would end a line of JavaScript; like everything beyond ASCII they are escaped by `ensure_ascii`.
_UNSAFE = str.maketrans({"<": "\\u003c", ">": "\\u003e", "&": "\\u0026"})


def embedded(value: Any) -> str:
    """JSON that may stand in a `<script type="application/json">`: ASCII without `<`, `>` and `&`, sorted keys.

    Raises: ValueError on a number that JSON has not.
    """
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return text.translate(_UNSAFE)


def policy(scripts: tuple[str, ...], styles: tuple[str, ...], files: bool = False) -> str:
    """A Content-Security-Policy: nothing is fetched, and only these very scripts and styles are applied.

    `files`: scripts that lie beside the page are loaded too, from disk or from its own server.

    Source: W3C, Content Security Policy Level 3, section 2.3.1 (hashes of inline elements).
    """
    parts = [
        "default-src 'none'",
        "script-src " + " ".join([*(["'self'", "file:"] if files else []), *map(_hash, scripts)]),
        "style-src " + " ".join(map(_hash, styles)),
        "img-src data:",
        "base-uri 'none'",
        "form-action 'none'",
    ]
    return "; ".join(parts)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
