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


def read_idx(path: Path, ndim: int) -> NDArray[np.uint8]:
    """An array of unsigned bytes with `ndim` dimensions from an idx file, gzipped if its name ends in ".gz".

    Raises:
        ValueError: the file is not such a file, or is cut short; says what is wrong, not where.
    """
    try:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"it cannot be unpacked ({error})") from error
    head = 4 + 4 * ndim
    if len(content) < head or content[:4] != bytes((0, 0, _UNSIGNED_BYTE, ndim)):
        raise ValueError(f"it is not an idx file of bytes with {ndim} dimensions")
    shape = struct.unpack(f">{ndim}I", content[4:head])
    if len(content) != head + math.prod(shape):
        raise ValueError(f"it should hold {math.prod(shape):,} bytes of data and holds {len(content) - head:,}")
    return np.frombuffer(content, np.uint8, offset=head).reshape(shape)
