"""Images that Pillow alone would show wrong, most of them with more than 8 bits a sample."""

from contextlib import suppress
from io import BytesIO
from struct import pack
from zlib import compress, crc32

import numpy as np
import pytest
from PIL import Image, ImageOps

from support.arrays import first, npy, tif
from unlabel.data import any_image
from unlabel.data.any_image import channels, decode, extent, is_grey
from unlabel.data.decode import Unreadable


def png(values: np.ndarray, **chunks: bytes) -> bytes:
    """A PNG file of uint16 (H, W, C), C from 2 to 4, with more chunks before its pixels."""
    height, width, samples = values.shape
    kind = {2: 4, 3: 2, 4: 6}[samples]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    file = b"\x89PNG\r\n\x1a\n"
    head = {"IHDR": pack(">IIBBBBB", width, height, 16, kind, 0, 0, 0)}
    for name, data in {**head, **chunks, "IDAT": compress(rows), "IEND": b""}.items():
        chunk = name.encode() + data
        file += pack(">I", len(data)) + chunk + pack(">I", crc32(chunk))
    return file


def ramp(top: int, samples: int = 3, last: int | None = None) -> np.ndarray:
    """From 0 to the top in each sample, the last of which may be the same everywhere: (8, 8, C)."""
    values = np.empty((8, 8, samples), np.uint16)
    values[:] = np.linspace(0, top, 8).astype(np.uint16)[None, :, None]
    if last is not None:
        values[..., -1] = last
    return values


def deep_colours(top: int) -> dict[str, bytes]:
    colour, opaque = ramp(top), ramp(top, 4, 65535)
    rgb = {"photometric": "rgb"}
    return {
        "TIFF": tif(colour, **rgb),
        "LZW": tif(colour, compression="lzw", **rgb),
        "planes": tif(first(colour), planarconfig="separate", **rgb),
        "planes, LZW": tif(first(colour), planarconfig="separate", compression="lzw", **rgb),
        "planes, transparent": tif(first(opaque), planarconfig="separate", **rgb),
        "transparent TIFF": tif(opaque, extrasamples=["unassalpha"], **rgb),
        "multiplied TIFF": tif(opaque, extrasamples=["assocalpha"], **rgb),
        "infrared": tif(ramp(top, 4, 65535), extrasamples=["unspecified"], **rgb),
        "PNG": png(colour),
        "transparent PNG": png(opaque),
    }


@pytest.mark.parametrize("kind", deep_colours(1))
def test_deep_colours_are_scaled_from_all_their_bits(kind: str) -> None:
    encoded = deep_colours(4095)[kind]
    assert extent(encoded) == (0, 4095)
    assert not is_grey(encoded)
    assert channels(encoded) in ((4,) if kind == "infrared" else (None, 3))
    for limits, row in {
        (0, 4095): [0, 36, 73, 109, 146, 182, 219, 255],
        (0, 585): [0, 255, 255, 255, 255, 255, 255, 255],
        None: [0, 2, 5, 7, 9, 11, 14, 16],
    }.items():
        pixels = decode(encoded, (3, 8, 8), limits=limits)
        assert (pixels == row).all()
        assert (decode(encoded, (1, 8, 8), limits=limits) == row).all()
    if kind.startswith("planes"):
        return  # of which Pillow reads garbage
    whole = deep_colours(65535)[kind]
    before = any_image.picture.decode(whole, (3, 8, 8))
    after = decode(whole, (3, 8, 8), limits=(0, 65535))
    assert np.abs(after.astype(int) - before).max() <= 1


def test_the_order_of_deep_colours_is_kept() -> None:
    values = np.random.default_rng(0).integers(0, 1 << 16, (5, 7, 3)).astype(np.uint16)
    for encoded in (png(values), tif(values, photometric="rgb")):
        assert (any_image._values(encoded) == values).all()


def test_what_is_transparent_is_white_at_any_depth() -> None:
    for samples in (4, 2):
        values = ramp(1000, samples, 32768)
        values[:4, :, -1] = 0
        grey = {"photometric": "rgb" if samples == 4 else "minisblack"}
        for encoded in (png(values), tif(values, extrasamples=["unassalpha"], **grey)):
            assert extent(encoded) == (0, 1000)
            assert is_grey(encoded) == (samples == 2)
            pixels = decode(encoded, (3, 8, 8), limits=(0, 1000))
            assert (pixels[:, :4] == 255).all()
            assert (pixels[:, 4:, 0] == 127).all()
            assert (pixels[:, 4:, -1] == 255).all()
            if samples == 4:  # if four are asked
                assert decode(encoded, (4, 8, 8), limits=(0, 65535))[3, 7, 0] == 128
    multiplied = ramp(1000, 4, 32768)
    multiplied[..., :3] //= 2
    encoded = tif(multiplied, photometric="rgb", extrasamples=["assocalpha"])
    assert (decode(encoded, (3, 8, 8), limits=(0, 1000))[:, :, 0] == 127).all()
    assert extent(encoded) == (0, 1000)


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("beside", ["unspecified", "unassalpha", "assocalpha"])
@pytest.mark.parametrize("grey", ["minisblack", "miniswhite", "rgb"])
def test_a_sample_beside_grey_or_colours_of_8_bits_is_read(
    grey: str, beside: str, planes: bool
) -> None:
    """Pillow cannot open most of them in planes, nor those where 0 is white."""
    samples = 4 if grey == "rgb" else 2
    values = np.full((2, 3, samples), 100, np.uint8)
    values[..., -1] = 200
    placed = {"planarconfig": "separate"} if planes else {"planarconfig": "contig"}
    encoded = tif(
        first(values) if planes else values, photometric=grey, extrasamples=[beside], **placed
    )
    assert (decode(encoded, (samples, 2, 3)) == first(values)).all()
    if beside == "unspecified":
        assert channels(encoded) == samples
        return
    assert channels(encoded) is None
    alone = 100 if beside == "unassalpha" else 127.5
    black = 255 - alone if grey == "miniswhite" else alone
    shown = decode(encoded, (3, 2, 3)).astype(float)
    assert shown == pytest.approx(np.full((3, 2, 3), 255 - (255 - black) * 200 / 255), abs=1)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_images_that_pillow_does_not_read_are_turned_too(orientation: int) -> None:
    values = np.random.default_rng(0).integers(0, 1 << 16, (6, 9, 5)).astype(np.uint16)
    tag = {"extratags": [(274, 3, 1, orientation, True)]}
    exif = Image.Exif()
    exif[274] = orientation
    with Image.open(BytesIO(tif(values[..., 0], **tag))) as image:
        upright = np.asarray(ImageOps.exif_transpose(image))
    for encoded in (
        tif(values, planarconfig="contig", **tag),
        tif(values[..., :3], photometric="rgb", **tag),
        png(values[..., :3], eXIf=exif.tobytes().removeprefix(b"Exif\0\0")),
    ):
        found = any_image._values(encoded)
        assert (found[..., 0] == upright).all()


def test_signed_numbers_of_8_bits_have_a_range() -> None:
    values = np.array([[-100, 1, 27, 100]], np.int8)
    for encoded in (npy(values), tif(values)):
        assert extent(encoded) == (-100, 100)
        pixels = decode(encoded, (1, 1, 4), limits=(-100, 100))
        assert pixels[0, 0].tolist() == [0, 129, 162, 255]
        with pytest.raises(Unreadable, match="signed, and nobody said which is black"):
            decode(encoded, (1, 1, 4))


@pytest.mark.parametrize("kind", [np.uint16, np.float32])
def test_where_0_is_white_deep_pixels_are_inverted_too(kind: type) -> None:
    encoded = tif(np.array([[0, 1000, 4095]], kind), photometric="miniswhite")
    assert extent(encoded) == (0, 4095)
    assert is_grey(encoded)
    assert decode(encoded, (1, 1, 3), limits=(0, 4095))[0, 0].tolist() == [255, 193, 0]
    assert decode(encoded, (1, 1, 3), limits=(0, 65535))[0, 0].tolist() == [255, 251, 239]


def test_numbers_of_32_bits_are_not_negative() -> None:
    encoded = tif(np.array([[0, 1 << 31, (1 << 32) - 1]], np.uint32))
    assert extent(encoded) == (0, (1 << 32) - 1)
    assert decode(encoded, (1, 1, 3), limits=extent(encoded))[0, 0].tolist() == [0, 128, 255]
    pages = tif(np.zeros((3, 8, 8), np.uint32), metadata=None)
    assert any_image._seen(pages, 3)[0].shape == (8, 8, 1)  # three pages are no colours


def test_deep_colours_that_are_not_read_are_refused() -> None:
    values = ramp(4095).astype(">u2").tobytes()
    for head in (b"P6 8 8 4095\n", b"P6\n# 8 bits\n8 # wide\n8\n65535\n", b"P3\n8 8\n4095\n"):
        for read in (extent, is_grey, channels, lambda file: decode(file, (3, 8, 8))):
            with pytest.raises(Unreadable, match="PPM is read with 8 bits a colour, and it has mo"):
                read(head + values)
    assert decode(b"P6 8 8 255\n" + bytes(192), (3, 8, 8)).max() == 0
    assert extent(b"P5 8 8 65535\n" + bytes(128)) == (0, 0)


def test_no_damage_of_deep_colours_raises_anything_else() -> None:
    random = np.random.default_rng(0)
    for whole in (png(ramp(4095, 4, 9)), png(ramp(4095, 2, 9)), deep_colours(4095)["planes"]):
        for read in (extent, is_grey, channels, lambda file: decode(file, (3, 8, 8))):
            with pytest.raises(Unreadable):
                read(whole[:-40])
            for _ in range(60):
                damaged = np.frombuffer(whole, np.uint8).copy()
                damaged[random.integers(0, len(whole), 3)] = random.integers(0, 256, 3)
                with suppress(Unreadable):
                    read(damaged.tobytes())
