"""The idx format: a magic number, sizes, and bytes. Source: LeCun et al. 1998 (the page of the MNIST database)."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_UNSIGNED_BYTE = 8
LARGEST = 2**30
"""Bytes of data of the largest file that is read."""


def read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """An array of unsigned bytes with `ndim` dimensions from an idx file, gzipped if its name ends in ".gz".

    No more is unpacked than the sizes in the head call for, and one byte.

    Raises:
        ValueError: the file is not such a file, is cut short or cannot be read; says what is wrong, not where.
        PermissionError: it may not be read; nothing is known of what it holds.
    """
    head = 4 + 4 * ndim
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            start = file.read(head)
            if len(start) < head or start[:4] != bytes((0, 0, _UNSIGNED_BYTE, ndim)):
                raise ValueError(f"it is not an idx file of bytes with {ndim} dimensions")
            shape = struct.unpack(f">{ndim}I", start[4:])
            if math.prod(shape) > LARGEST:
                raise ValueError(f"it should hold {math.prod(shape):,} bytes of data; at most {LARGEST:,} are read")
            content = file.read(math.prod(shape) + 1)
    except PermissionError:
        raise
    except (EOFError, zlib.error, OSError) as error:  # of gzip too
        raise ValueError(f"it cannot be {'unpacked' if path.suffix == '.gz' else 'read'} ({error})") from error
    if len(content) != math.prod(shape):
        more = " or more" if len(content) > math.prod(shape) else ""
        raise ValueError(f"it should hold {math.prod(shape):,} bytes of data and holds {len(content):,}{more}")
    return np.frombuffer(content, np.uint8).reshape(shape)
