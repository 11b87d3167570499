"""Networks whose weights were published: how data is prepared for them, and which outputs are the data's classes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from prunebench.api.errors import PlanError
from prunebench.api.info import DataInfo
from prunebench.api.pretrained import Adaptable, Pretrained
from prunebench.benchmark.choices import DataChoice
from prunebench.plan.specs import WeightFile


@dataclass(frozen=True)
class FirstWeights:
    """The file that first weights are read from, and what a reader must know of it."""

    file: WeightFile
    note: str = ""


def prepared_for(data: DataChoice, model: str, published: Pretrained) -> DataChoice:
    """The data set with its images prepared as the network was trained.

    Raises:
        PlanError: the data set cannot prepare them so, or the file states something else.
    """
    if data.transform == "own":
        return data
    config = data.use.config
    asked = published.preprocessing
    if not isinstance(config, Adaptable):
        raise PlanError(
            f'data "{data.label}" cannot prepare its images as model "{model}" was trained ({asked.size} pixels, '
            f'mean {list(asked.mean)}, std {list(asked.std)}); write transform = "own" below [data] to take them as '
            "they are"
        )
    try:
        adapted = config.prepared_for(asked)
    except PlanError as error:
        raise PlanError(
            f'data "{data.label}" and model "{model}": {error}; leave it out, or write transform = "own" below [data]'
        ) from None
    return data.model_copy(update={"use": replace(data.use, config=adapted)})


def rows_for(published: Pretrained, data: DataInfo) -> tuple[int, ...] | None:
    """The outputs of a head that tell the data's classes apart, in their order; None where they are all, in order.

    Raises:
        PlanError: they are not among the head's.
    """
    head = f"the head of {published.name} tells {published.outputs:,} classes apart"
    how = "; `fresh_head = true` draws the classifier anew"
    if published.classes and data.class_names:
        place = {name: row for row, name in enumerate(published.classes)}
        absent = [name for name in data.class_names if name not in place]
        if absent:
            raise PlanError(
                f'{head}, and {len(absent):,} of the {data.classes:,} of data "{data.name}", such as "{absent[0]}", '
                f'are not among them (its are called like "{published.classes[0]}"){how}'
            )
        rows = tuple(place[name] for name in data.class_names)
        return None if rows == tuple(range(published.outputs)) else rows
    if data.classes != published.outputs:
        raise PlanError(f'{head}, data "{data.name}" has {data.classes:,}, and which these are is not known{how}')
    return None
