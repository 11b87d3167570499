"""Tables of a TOML file, with floats that remember how they were printed."""

from __future__ import annotations

from typing import Any

Table = dict[str, Any]


class Printed(float):
    """A float that remembers how the file printed it: "0.210" asks for three decimals."""

    text: str

    def __new__(cls, text: str) -> Printed:
        """From TOML's text."""
        self = super().__new__(cls, text.replace("_", ""))
        self.text = text.replace("_", "")
        return self
