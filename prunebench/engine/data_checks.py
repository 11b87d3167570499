"""Whether data is what it says that it is: the plan's epochs and shapes follow from what it says. No torch."""

from __future__ import annotations

from prunebench.api.data import Data
from prunebench.api.errors import ContractError
from prunebench.api.info import DataInfo


def checked_info(data: object, who: str) -> DataInfo:
    """What data says of itself. No split is looked at, since some are decoded when they are first asked for.

    Raises:
        ContractError: it is something else than data, or its info is none.
    """
    if not isinstance(data, Data):
        raise ContractError(f"{who}: prunebench_data gave {type(data).__name__}, not Data")
    info: object = data.info
    if not isinstance(info, DataInfo) or not isinstance(info.digest, str) or not isinstance(info.classes, int):
        raise ContractError(f"{who}: its info is no DataInfo with a digest and a number of classes")
    for what, numbers in (("shape", info.shape), ("sizes", tuple(info.sizes.values()))):
        if not numbers or not all(isinstance(number, int) and number > 0 for number in numbers):
            raise ContractError(f"{who}: the {what} of its info are {numbers!r}, not whole numbers above 0")
    return info


def check_sizes(data: Data, who: str) -> None:
    """Nothing if the splits are as large as planning was told: an epoch is as long as the plan has it.

    Raises:
        ContractError: one is not.
    """
    for name in sorted({*data.info.sizes, *data.splits}):
        said, found = data.info.sizes.get(name), data.splits[name].size if name in data.splits else None
        if said != found:
            raise ContractError(f'{who}: its info says that "{name}" has {said} examples, and it has {found}')
