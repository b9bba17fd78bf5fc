"""Arrays and TIFF files of any number of channels become pixels, or say why not."""

import pickle
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from support.arrays import bands, first, npy, tif
from support.harmful import Call
from support.pixels import picture
from unlabel.data import any_image, tiff
from unlabel.data.any_image import OtherChannels, channels, decode, extent, is_grey
from unlabel.data.decode import Unreadable

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
