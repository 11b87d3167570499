"""From the bytes of an image file to 8-bit RGB."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import TiffImageFile

from prunebench_plugins.data import _pictures
from prunebench_plugins.data._pictures import PictureError, examine, rgb

GREYS: NDArray[np.uint8] = np.random.default_rng(0).integers(0, 256, (9, 7), dtype=np.uint8)
"""Taller than wide, so that what lies on its side is found."""


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def read(content: bytes, **options: Any) -> NDArray[np.uint8]:
    examine(content)
    return np.asarray(rgb(content, **options))


def grey(values: NDArray[Any]) -> NDArray[Any]:
    return np.repeat(values[..., None], 3, 2)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_grey_of_16_bits_is_read_as_the_same_grey_of_8(kind: str) -> None:
    content = saved(Image.fromarray(GREYS.astype("uint16") * 257), kind)
    assert np.array_equal(read(content), grey(GREYS))


def test_grey_of_16_bits_goes_to_the_nearest_level() -> None:
    values = np.arange(65_536, dtype="uint16").reshape(256, 256)
    levels = read(saved(Image.fromarray(values), "PNG"))[..., 0]
    assert np.array_equal(levels, np.round(values / 257).astype("uint8"))


def test_grey_of_16_bits_in_a_big_endian_file_is_read_alike() -> None:
    # The tags of a TIFF file, in order: width, height, bits, compression, photometric, offset, rows, bytes.
    height, width = GREYS.shape
    data = (GREYS.astype(">u2") * 257).astype(">u2").tobytes()
    tags = [(256, width), (257, height), (258, 16), (259, 1), (262, 1), (273, 8), (278, height), (279, len(data))]
    content = b"MM\0*" + struct.pack(">I", 8 + len(data)) + data + struct.pack(">H", len(tags))
    content += b"".join(struct.pack(">HHII", tag, 4, 1, value) for tag, value in tags) + bytes(4)
    assert np.array_equal(read(content), grey(GREYS))


@pytest.mark.parametrize("mode", ["L", "1", "RGB", "P", "RGBA", "LA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_opaque_pictures_are_read_as_they_are(mode: str, kind: str) -> None:
    image = Image.fromarray(GREYS)
    expected = Image.fromarray(255 * (GREYS > 127).astype("uint8")) if mode == "1" else image
    assert np.array_equal(read(saved(expected.convert(mode), kind)), grey(np.asarray(expected)))


def test_cmyk_is_read_as_pil_reads_it() -> None:
    image = Image.merge("CMYK", [Image.fromarray(np.roll(GREYS, by, 0)) for by in range(4)])
    assert np.array_equal(read(saved(image, "TIFF")), np.asarray(image.convert("RGB")))


@pytest.mark.parametrize("form", ["RGBA", "LA", "palette", "colour key"])
def test_transparent_pixels_have_their_stored_colour_or_a_background(form: str) -> None:
    values = np.array([[10, 200], [10, 200]], "uint8")
    image, options = Image.fromarray(values), dict[str, Any]()
    if form == "palette":
        image = Image.fromarray((values > 100).astype("uint8"), "P")
        image.putpalette([10] * 3 + [200] * 3)
        options["transparency"] = bytes([0, 255])
    elif form == "colour key":
        options["transparency"] = 10
    else:
        image = image.convert(form)
        image.putalpha(Image.fromarray((255 * (values > 100)).astype("uint8")))
    content = saved(image, "PNG", **options)
    assert read(content)[0, :, 0].tolist() == [10, 200]
    assert {b: read(content, background=b)[0, :, 0].tolist() for b in ("white", "black", "grey")} == {
        "white": [255, 200],
        "black": [0, 200],
        "grey": [128, 200],
    }


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_what_lies_on_its_side_is_turned_upright(kind: str, orientation: int) -> None:
    # A dark corner, and a light one beside it along the longer side.
    upright = np.full((16, 8), 120, "uint8")
    upright[:4, :4], upright[12:, :4] = 0, 255
    turns = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.T,
        6: np.rot90(upright),
        7: upright[::-1, ::-1].T,
        8: np.rot90(upright, -1),
    }
    exif = Image.Exif()
    exif[0x0112] = orientation
    quality = {"WEBP": {"lossless": True}, "JPEG": {"quality": 100}}.get(kind, {})
    content = saved(Image.fromarray(np.ascontiguousarray(turns[orientation])), kind, exif=exif, **quality)
    found = read(content)[..., 0].astype(int)
    assert found.shape == upright.shape
    assert int(abs(found - upright).max()) < 12
    if kind != "PNG":
        examine(content, lambda width, height: None if (width, height) == (8, 16) else pytest.fail("not upright"))


def test_damaged_exif_is_no_obstacle() -> None:
    content = saved(Image.fromarray(GREYS), "PNG", exif=b"Exif\0\0" + b"no tags at all")
    assert np.array_equal(read(content), grey(GREYS))


@pytest.mark.parametrize("kind", [np.float32, np.int32])
def test_pixels_without_a_stated_range_are_refused(kind: type[Any]) -> None:
    content = saved(Image.fromarray(GREYS.astype(kind)), "TIFF")
    for tried in (examine, rgb):
        with pytest.raises(PictureError, match="whose black and white are not stated"):
            tried(content)


def test_grey_of_16_bits_whose_white_is_zero_is_refused() -> None:
    content = saved(Image.fromarray(GREYS.astype("uint16")), "TIFF", tiffinfo={262: 0})
    with pytest.raises(PictureError, match="whose black and white are not stated"):
        examine(content)


FOREIGN = {
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n",
    "GIF": saved(Image.fromarray(GREYS), "GIF"),
    "PDF": saved(Image.fromarray(GREYS), "PDF"),
    "ICO": saved(Image.fromarray(GREYS), "ICO"),
    "TGA": saved(Image.fromarray(GREYS), "TGA"),
    "nothing": b"",
    "noise": b"x" * 99,
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_no_other_format_is_opened_whatever_the_file_is_called(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import EpsImagePlugin

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *arguments: pytest.fail("Ghostscript was started"))
    for tried in (examine, rgb):
        with pytest.raises(PictureError, match="is no image"):
            tried(FOREIGN[kind])


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IEND", b"")


BOMBS = {
    "pixels": png(60_000, 60_000, chunk(b"IDAT", zlib.compress(bytes(1_000)))),
    "a few more pixels than are allowed": png(10_000, 9_000, chunk(b"IDAT", zlib.compress(bytes(1_000)))),
    "text": png(1, 1, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**27))), chunk(b"IDAT", zlib.compress(bytes(2)))),
}


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.filterwarnings("default::PIL.Image.DecompressionBombWarning")
def test_decompression_bombs_are_not_opened(kind: str) -> None:
    for tried in (examine, rgb):
        with pytest.raises(PictureError):
            tried(BOMBS[kind])


def test_a_file_that_is_too_large_is_not_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    content = saved(Image.fromarray(GREYS), "PNG")
    monkeypatch.setattr(_pictures, "BYTES", len(content) - 1)
    with pytest.raises(PictureError, match="bytes; at most"):
        examine(content)


def test_broken_chunks_are_found() -> None:
    content = bytearray(saved(Image.fromarray(GREYS), "PNG"))
    content[content.index(b"IDAT") + 8] ^= 255
    for tried in (examine, rgb):
        with pytest.raises(PictureError, match="is no image"):
            tried(bytes(content))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM"])
def test_a_file_that_is_cut_short_is_found_without_decoding_it(kind: str) -> None:
    content = saved(Image.fromarray(GREYS), kind)
    for end in (len(content) - 20, len(content) // 2, 9):
        with pytest.raises(PictureError, match="is no image"):
            examine(content[:end], thorough=False)


def test_several_pictures_in_one_file_are_remarked_and_the_first_is_read() -> None:
    frames = [Image.fromarray(np.roll(GREYS, by, 0)) for by in range(3)]
    for kind in ("PNG", "TIFF"):
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert examine(content) == ["several"]
        assert np.array_equal(np.asarray(rgb(content)), grey(GREYS))


def test_pictures_behind_the_second_are_not_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    image = Image.fromarray(GREYS)
    content = saved(image, "TIFF", save_all=True, append_images=[image] * 3)
    looked: list[int] = []
    monkeypatch.setattr(TiffImageFile, "seek", lambda self, frame: looked.append(frame))
    monkeypatch.setattr(TiffImageFile, "n_frames", property(lambda self: looked.append(-1)))
    assert examine(content) == ["several"]
    assert looked == []


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM"]), st.data())
@pytest.mark.filterwarnings("ignore")  # PIL's, of damaged tags
def test_damage_of_any_kind_is_a_picture_error_or_a_picture(kind: str, data: st.DataObject) -> None:
    content = bytearray(saved(Image.fromarray(GREYS), kind))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    for tried in (examine, rgb):
        with suppress(PictureError):
            tried(bytes(content[:cut] if data.draw(st.booleans()) else content))
