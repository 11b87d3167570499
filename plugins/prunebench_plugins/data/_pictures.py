"""From the bytes of an image file to 8-bit RGB: which formats are opened, and what becomes of each kind of pixels.

| pixels | become |
|---|---|
| grey, palette, CMYK, YCbCr of 8 bits or fewer | RGB, as PIL converts them |
| grey of 16 bits | the nearest of 256 levels: 65,535 is white |
| with transparency | the stored colours, as torchvision and timm read them, or the picture before a background |
| any others (integers of 32 bits, floating point, LAB) | an error: where black and white lie is not stated |

A picture that says it lies on its side (EXIF) is turned upright. Only the formats of FORMATS are opened, whatever a
file is called: PIL would start Ghostscript for a PostScript file named .png.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

FORMATS = ("JPEG", "PNG", "BMP", "PPM", "WEBP", "TIFF")
"""What PIL may take a file for."""
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".ppm", ".pgm", ".webp", ".tif", ".tiff")
"""How the names of image files end; as in torchvision."""
PIXELS = 89_478_485
"""Pixels of the largest picture that is opened (PIL's own limit, beyond which it warns of a decompression bomb)."""
BYTES = 2**28
"""Bytes of the largest file that is read."""
TAIL = 1_024
"""Bytes in which the end of a file is looked for: some programs write more behind it."""

Background = Literal["none", "white", "black", "grey"]
_SHADES: dict[Background, int] = {"white": 255, "black": 0, "grey": 128}
Check = Callable[[int, int], str | None]
"""(width, height) -> what is wrong with pictures of this size, if anything is."""

_PLAIN = ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr")
_TRANSPARENT = ("LA", "La", "PA", "RGBA", "RGBa")
_GREY16 = ("I;16", "I;16L", "I;16B", "I;16N")
_ORIENTATION, _WHITE_IS_ZERO, _BITS = 0x0112, 262, 258
"""Tags of EXIF and TIFF."""
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""What undoes each orientation; 1 is upright."""


class PictureError(ValueError):
    """What is wrong with a picture, to be said after its name."""


def examine(content: bytes, check: Check = lambda width, height: None, thorough: bool = True) -> list[str]:
    """What is worth a note about a picture; it is decoded only if its format has no end that can be looked for.

    Args:
        check: of its size, upright.
        thorough: the checksums inside a PNG file too.
    Raises:
        PictureError: it is of no format that is opened, cut short, too large, of pixels that have no stated range, or
            of a size that `check` refuses.
    """
    with _opened(content) as image:
        if problem := check(*_upright_size(image)):
            raise PictureError(problem)
        found = []
        if image.mode in _TRANSPARENT:
            found.append("transparent")
        # How many there are is not asked: a TIFF file may name millions, each of which PIL would look up.
        if image.format != "MPO" and getattr(image, "is_animated", False):
            found.append("several")
        _check_end(image, content, thorough)
        return found


def rgb(content: bytes, background: Background = "none") -> Image.Image:
    """The picture, upright, of mode "RGB".

    Args:
        background: what shows through where it is transparent; "none" leaves the stored colours.
    Raises:
        PictureError: see `examine`; or it is damaged inside.
    """
    with _opened(content) as image:
        image.load()
        upright = _UPRIGHT.get(_orientation(image))
        plain = _eight_bits(image, background)
        return plain if upright is None else plain.transpose(upright)


@contextmanager
def _opened(content: bytes) -> Iterator[Image.Image]:
    """The picture, its head read; whatever PIL raises inside becomes a PictureError."""
    if len(content) > BYTES:
        raise PictureError(f"has {len(content):,} bytes; at most {BYTES:,} are read")
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > PIXELS:
                raise PictureError(_too_large(image))
            if image.mode not in (*_PLAIN, *_TRANSPARENT) and not _is_grey16(image):
                raise PictureError(
                    f"has pixels of a kind whose black and white are not stated (PIL calls it {image.mode}); save it "
                    "with 8 bits a channel, or in 16 bits of grey"
                )
            yield image
    except PictureError:
        raise
    except UnidentifiedImageError as error:
        # PIL's own text names an object in memory; equal errors are to be equal.
        raise PictureError(f"is no image (of none of the formats {', '.join(FORMATS)}, or damaged)") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureError(f"is no image that is opened ({error})") from error
    except Exception as error:
        # Decoders of foreign bytes raise anything: struct.error, IndexError, OverflowError, zlib.error, ...
        raise PictureError(f"is no image ({error or type(error).__name__})") from error


def _too_large(image: Image.Image) -> str:
    return f"has {image.height:,} x {image.width:,} pixels; pictures of more than {PIXELS:,} are not opened"


def _orientation(image: Image.Image) -> int:
    try:
        found = image.getexif().get(_ORIENTATION, 1)
    except Exception:
        # Cameras write EXIF that is damaged; who cannot read it sees the picture as it is stored, as every viewer does.
        return 1
    return found if isinstance(found, int) else 1


def _upright_size(image: Image.Image) -> tuple[int, int]:
    # PIL has turned the size of TIFF files already; the EXIF of PNG files may come last, and is not looked for here.
    return image.size[::-1] if image.format not in ("PNG", "TIFF") and _orientation(image) >= 5 else image.size


def _check_end(image: Image.Image, content: bytes, thorough: bool) -> None:
    """Raises what PIL raises, or EOFError, unless the file ends as its format does."""
    kind, tail = image.format, content[-TAIL:]
    if kind == "PNG":
        if not _reaches_its_end(content):
            raise EOFError("it is cut short")
        if thorough:
            image.verify()
    elif kind == "WEBP":
        if len(content) < 8 + int.from_bytes(content[4:8], "little"):
            raise EOFError("it is cut short")
    elif kind not in ("JPEG", "MPO") or b"\xff\xd9" not in tail:
        image.load()


def _reaches_its_end(png: bytes) -> bool:
    """Whether the chunks of a PNG file lead to the last one."""
    place = 8
    while (kind := png[place + 4 : place + 8]) != b"IEND":
        if len(kind) < 4:
            return False
        place += 12 + int.from_bytes(png[place : place + 4], "big")
    return True


def _is_grey16(image: Image.Image) -> bool:
    """Whether the pixels are grey from 0, which is black, to 65,535, which is white."""
    if image.format == "TIFF":
        tags = getattr(image, "tag_v2", {})
        return image.mode in _GREY16 and tags.get(_BITS, (16,))[0] == 16 and tags.get(_WHITE_IS_ZERO, 1) != 0
    # Older versions of PIL have 16 bits in 32 ("I"), and PPM still has: scaled to 65,535, whatever its largest value.
    return image.mode in _GREY16 or (image.mode == "I" and image.format in ("PNG", "PPM"))


def _eight_bits(image: Image.Image, background: Background) -> Image.Image:
    if image.mode in _PLAIN and "transparency" not in image.info:
        return image.convert("RGB")
    if image.mode in _PLAIN or image.mode in _TRANSPARENT:
        # Palettes with transparency need the detour, for which PIL asks with a warning.
        through = image.convert("RGBA")
        if background == "none":
            return through.convert("RGB")
        behind = Image.new("RGBA", through.size, (_SHADES[background],) * 3 + (255,))
        return Image.alpha_composite(behind, through).convert("RGB")
    values = np.asarray(image).astype(np.int64)
    if values.min(initial=0) < 0 or values.max(initial=0) > 65_535:
        raise PictureError("has grey values beyond 16 bits")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8)).convert("RGB")
