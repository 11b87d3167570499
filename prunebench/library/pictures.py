"""Figures as a notebook shows them."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def shown_in_notebooks(figure: Figure) -> Figure:
    """The figure, which shows itself below a cell. One that belongs to no window of pyplot would print its name."""

    def png() -> bytes:
        picture = BytesIO()
        figure.savefig(picture, format="png", dpi=110)
        return picture.getvalue()

    figure._repr_png_ = png  # type: ignore[attr-defined]  # the name that IPython asks an object for
    return figure
