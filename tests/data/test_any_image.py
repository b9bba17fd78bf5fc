"""Arrays and TIFF files of any number of channels become pixels, or say why not."""

import pickle
from contextlib import suppress
from io import BytesIO
from struct import pack
from zlib import compress, crc32

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageOps

from support.harmful import Call
from support.pixels import picture
from unlabel.data import any_image, tiff
from unlabel.data.any_image import OtherChannels, channels, decode, extent, is_grey
from unlabel.data.decode import Unreadable


def npy(values: np.ndarray) -> bytes:
    file = BytesIO()
    np.save(file, values)
    return file.getvalue()


def tif(values: np.ndarray, **options: object) -> bytes:
    file = BytesIO()
    tifffile.imwrite(file, values, **{"photometric": "minisblack", **options})
    return file.getvalue()


def bands(count: int, kind: type = np.uint16) -> np.ndarray:
    """Channel c is 10 c + 10 above, and twice that below: (8, 8, C)."""
    values = np.empty((8, 8, count), kind)
    values[:4], values[4:] = 10 * np.arange(1, count + 1), 20 * np.arange(1, count + 1)
    return values


def first(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(values, 2, 0))


FIVE = {
    "npy": npy(bands(5)),
    "in Fortran's order": npy(np.asfortranarray(bands(5))),
    "big-endian": npy(bands(5).astype(">u2")),
    "samples": tif(bands(5), planarconfig="contig"),
    "planes": tif(first(bands(5)), planarconfig="separate"),
    "LZW": tif(bands(5), planarconfig="contig", compression="lzw"),
    "BigTIFF": tif(bands(5), planarconfig="contig", bigtiff=True),
    "ImageJ": tif(first(bands(5)), imagej=True, metadata={"axes": "CYX"}, photometric=None),
    "OME": tif(first(bands(5)), ome=True, metadata={"axes": "CYX"}),
    "OME, by depth": tif(
        np.stack([first(bands(5)), first(bands(5)) + 1], 1), ome=True, metadata={"axes": "CZYX"}
    ),
}


@pytest.mark.parametrize("encoded", FIVE.values(), ids=FIVE)
def test_each_channel_is_scaled_by_its_own_range(encoded: bytes) -> None:
    assert channels(encoded) == 5
    assert extent(encoded) is not None
    limits = tuple((0, 51 * number) for number in range(1, 6))
    pixels = decode(encoded, (5, 8, 8), limits=limits)
    assert (pixels.shape, pixels.dtype) == ((5, 8, 8), np.uint8)
    assert (pixels[:, 0] == 50).all()
    assert (pixels[:, -1] == 100).all()
    alike = decode(encoded, (5, 8, 8), limits=(0, 100))
    assert alike[:, -1, 0].tolist() == [51, 102, 153, 204, 255]


def test_pages_are_channels_only_where_somebody_says_so() -> None:
    pages = tif(first(bands(5)), metadata=None)
    assert channels(pages) is None
    assert decode(pages, (1, 8, 8), limits=(0, 51))[0, 0, 0] == 50
    assert decode(pages, (5, 8, 8), limits=(0, 100))[:, -1, 0].tolist() == [51, 102, 153, 204, 255]
    deep = tif(first(bands(5)), imagej=True, metadata={"axes": "ZYX"}, photometric=None)
    assert channels(deep) is None


@pytest.mark.parametrize(
    ("values", "wanted", "pixel"),
    [
        (np.full((6, 6), 77, np.uint8), 1, [77]),
        (np.full((6, 6), 77, np.uint8), 3, [77, 77, 77]),
        (np.full((6, 6, 3), (200, 100, 50), np.uint8), 3, [200, 100, 50]),
        (np.full((6, 6, 3), (200, 100, 50), np.uint8), 1, [124]),
        (np.full((6, 6, 2), (200, 100), np.uint8), 2, [200, 100]),
        (np.full((6, 6), True), 1, [255]),
        (np.full((6, 6), 77 * 256 + 200, np.uint16), 1, [77]),
    ],
    ids=str,
)
def test_arrays_of_few_channels(values: np.ndarray, wanted: int, pixel: list[int]) -> None:
    encoded = npy(values)
    assert decode(encoded, (wanted, 4, 4))[:, 1, 1].tolist() == pixel
    assert is_grey(encoded) == (values.ndim == 2)


def test_what_pillow_reads_stays_as_it_was() -> None:
    for encoded in (picture(0), picture(0, "TIFF"), picture(0, "JPEG"), picture(0, grey=True)):
        assert channels(encoded) is None
        assert (decode(encoded, (3, 8, 8)) == any_image.picture.decode(encoded, (3, 8, 8))).all()
    rgba = Image.fromarray(np.full((6, 6, 4), (9, 8, 7, 6), np.uint8))
    file = BytesIO()
    rgba.save(file, "PNG")
    assert decode(file.getvalue(), (4, 4, 4))[:, 0, 0].tolist() == [9, 8, 7, 6]  # if four are asked


def test_a_fourth_sample_that_is_not_transparency_is_a_channel() -> None:
    values = np.full((6, 6, 4), (9, 8, 7, 6), np.uint8)
    infrared = tif(values, photometric="rgb", extrasamples=["unspecified"])
    assert channels(infrared) == 4
    assert decode(infrared, (4, 4, 4))[:, 0, 0].tolist() == [9, 8, 7, 6]
    assert decode(infrared, (3, 4, 4))[:, 0, 0].tolist() == [9, 8, 7]
    transparent = tif(values, photometric="rgb", extrasamples=["unassalpha"])
    assert channels(transparent) is None


def test_other_channels_are_said() -> None:
    with pytest.raises(OtherChannels, match="it has 4 channels, but must have 5"):
        decode(npy(bands(4)), (5, 4, 4))
    with pytest.raises(OtherChannels, match="it has 5 channels, but must be in grey or in colour"):
        decode(npy(bands(5)), (3, 4, 4))
    with pytest.raises(OtherChannels, match="it has 3 channels, but must have 5"):
        decode(picture(0), (5, 4, 4))


def liar(shape: tuple[int, ...]) -> bytes:
    """An array that says it is larger than it is."""
    file = BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": "<f8", "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


@pytest.mark.parametrize(
    ("encoded", "why"),
    [
        (npy(first(bands(5))), r"its shape is \(5, 8, 8\), with the channels first"),
        (npy(np.zeros(7)), r"its shape is \(7,\), and not \(height, width, channels\)"),
        (npy(np.zeros((4, 4), complex)), "it has complex128 in it, and not real numbers"),
        (npy(np.zeros((4, 4), [("a", "u1")])), "and not real numbers"),
        (npy(np.array([[None, 1]], object)), "it has object in it, and not real numbers"),
        (liar((1 << 30, 1 << 30, 2)), "."),
        (npy(bands(5))[:-8], "."),
        (tif(bands(5), planarconfig="contig")[:-80], "."),
        (b"\x93NUMPY" + pickle.dumps(Call(print, "ran")), "."),
    ],
    ids=str,
)
def test_what_is_no_image_is_unreadable(
    encoded: bytes, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(Unreadable, match=why):
        decode(encoded, (5, 4, 4), limits=(0, 1))
    assert not capfd.readouterr().out
    with pytest.raises(Unreadable, match="fractions, and nobody said"):
        decode(npy(np.zeros((6, 6, 2))), (2, 4, 4))


def test_tifffile_is_asked_for_only_where_it_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "tifffile", None)
    with pytest.raises(Unreadable, match=r"needs tifffile \(pip install tifffile imagecodecs\)"):
        channels(FIVE["samples"])
    assert not tiff.has_more(picture(0, "TIFF"))
    assert decode(picture(0, "TIFF"), (3, 8, 8)).shape == (3, 8, 8)


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
