"""How a policy of RandAugment is written. No torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Policy = Annotated[str, Field(pattern=r"^rand(-(m\d+|n\d+|p0?\.\d+|mstd\d+(\.\d+)?|mmax\d+|inc[01]))*$")]
"""timm's text, such as "rand-m9-mstd0.5-inc1": magnitude, number of operations, spread of the magnitude, and so on."""
