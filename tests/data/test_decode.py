"""Encoded images of all sizes, modes and formats become pixels of one shape, or say why not."""

import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from struct import pack
from zlib import compress, crc32

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from unlabel.data.decode import FITS, Limits, Unreadable, content, decode, extent, is_grey
from unlabel.errors import UserError

RGB = (200, 100, 50)


def encoded(image: Image.Image, format: str = "PNG", **options: object) -> bytes:
    """What a file of `format` would have in it."""
    file = BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def halves(size: tuple[int, int] = (8, 8)) -> Image.Image:
    """White above, black below."""
    image = Image.new("L", size, 255)
    image.paste(0, (0, size[1] // 2, *size))
    return image


@pytest.mark.parametrize("format", ["BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP"])
def test_formats(format: str) -> None:
    pixels = decode(encoded(Image.new("RGB", (40, 30), RGB), format), (3, 16, 16))
    assert (pixels.shape, pixels.dtype) == ((3, 16, 16), np.uint8)
    assert np.abs(pixels.reshape(3, -1).T.astype(int) - RGB).max() <= 3  # of lossy formats


@pytest.mark.parametrize(
    ("image", "colour"),
    [
        (Image.new("1", (9, 9), 1), (255, 255, 255)),
        (Image.new("L", (9, 9), 77), (77, 77, 77)),
        (Image.new("LA", (9, 9), (77, 255)), (77, 77, 77)),
        (Image.new("LA", (9, 9), (77, 0)), (255, 255, 255)),
        (Image.new("RGBA", (9, 9), (*RGB, 255)), RGB),
        (Image.new("RGBA", (9, 9), (*RGB, 0)), (255, 255, 255)),
        (Image.new("RGBA", (9, 9), (0, 0, 0, 51)), (204, 204, 204)),
        (Image.new("RGB", (9, 9), RGB).quantize(4), RGB),
        (Image.fromarray(np.full((9, 9), 77 * 256 + 200, np.uint16)), (77, 77, 77)),
        (Image.fromarray(np.full((9, 9), 100, np.uint16)), (0, 0, 0)),
    ],
    ids=lambda case: getattr(case, "mode", str(case)),
)
def test_modes(image: Image.Image, colour: tuple[int, int, int]) -> None:
    assert (decode(encoded(image), (3, 4, 4)) == np.array(colour)[:, None, None]).all()
    grey = Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))
    assert (decode(encoded(image), (1, 4, 4)) == grey).all()


def test_a_palette_with_a_transparent_colour() -> None:
    image = Image.new("P", (8, 8), 1)
    image.putpalette([0, 0, 0, *RGB])
    assert (decode(encoded(image, transparency=1), (3, 2, 2)) == 255).all()
    assert (decode(encoded(image, transparency=0), (3, 2, 2))[0] == RGB[0]).all()


def test_cmyk() -> None:
    for format in ("JPEG", "TIFF"):
        pixels = decode(encoded(Image.new("CMYK", (16, 16), (255, 0, 0, 0)), format), (3, 8, 8))
        assert pixels[0].max() <= 5
        assert pixels[1:].min() >= 250  # cyan


def test_what_the_camera_says_of_up_is_heeded() -> None:
    exif = Image.Exif()
    exif[0x0112] = 8  # it was turned to the right: turn it to the left
    image = halves((32, 16)).transpose(Image.Transpose.ROTATE_270)
    pixels = decode(encoded(image, "JPEG", exif=exif), (1, 16, 32))[0]
    assert pixels[:7].min() > 250
    assert pixels[9:].max() < 5


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_damaged_exif_data_are_no_matter() -> None:
    image = encoded(halves((16, 16)), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f" + b"\xff" * 40)
    assert decode(image, (1, 16, 16))[0, 0, 0] > 250


def test_of_several_frames_the_first_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RGB, (0, 0, 0))]
    animated = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (decode(animated, (3, 8, 8)) == np.array(RGB)[:, None, None]).all()


def test_fits() -> None:
    wide = Image.new("L", (64, 32), 255)
    wide.paste(0, (16, 0, 48, 32))  # a black square in the middle, white left and right
    assert (decode(encoded(wide), (1, 16, 16))[0, :, 1:-1] == 0).all()
    squeezed = decode(encoded(wide), (1, 16, 16), "squeeze")[0]
    assert (squeezed[:, [0, 8, 15]] == [255, 0, 255]).all()
    padded = decode(encoded(wide), (1, 16, 16), "pad")[0]
    assert (padded[:, 8] == 0).all()
    assert (padded[:, 0] == [0] * 4 + [255] * 8 + [0] * 4).all()


def test_an_image_of_the_right_shape_keeps_its_pixels() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (12, 10, 3), np.uint8)
    for fit in ("crop", "squeeze", "pad"):
        same = decode(encoded(Image.fromarray(pixels)), (3, 12, 10), fit)
        assert (same == pixels.transpose(2, 0, 1)).all()


def test_no_aliasing() -> None:
    columns = np.zeros((256, 256), np.uint8)
    columns[:, ::2] = 255  # every other column; without a filter all that is seen are these
    for format in ("PNG", "JPEG"):
        small = decode(encoded(Image.fromarray(columns), format), (1, 16, 16))
        assert np.abs(small.astype(int) - 127).max() <= 3


@pytest.mark.parametrize(
    ("file", "reason"),
    [
        (b"", "it is empty"),
        (b"hello", "its format is not one of BMP"),
        (encoded(halves(), "JPEG")[:-2], "truncated"),
        (encoded(halves())[:-30], "truncated|broken"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "its format is not one of BMP"),
        (encoded(Image.new("F", (4, 4)), "TIFF"), "fractions"),
        (encoded(Image.new("I", (4, 4), 1 << 20), "TIFF"), "more than 16 bits"),
    ],
    ids=["empty", "text", "half a JPEG", "half a PNG", "a program", "fractions", "32 bits"],
)
def test_what_cannot_be_read_says_why(file: bytes, reason: str) -> None:
    with pytest.raises(Unreadable, match=reason):
        decode(file, (3, 8, 8))


def test_a_small_file_of_very_many_pixels_is_not_unpacked() -> None:
    with pytest.raises(Unreadable, match="it has too many pixels"):
        decode(bomb(), (3, 8, 8))


def bomb() -> bytes:
    """A PNG file that says it has 60,000 x 60,000 pixels: 10 GB of memory."""
    file = b"\x89PNG\r\n\x1a\n"
    for name, data in (
        (b"IHDR", pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)),
        (b"IDAT", compress(bytes(1000))),
    ):
        file += pack(">I", len(data)) + name + data + pack(">I", crc32(name + data))
    return file


def test_no_damage_raises_anything_else() -> None:
    random = np.random.default_rng(0)
    for format in ("BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP"):
        whole = encoded(Image.effect_noise((24, 24), 50).convert("RGB"), format)
        for _ in range(30):
            damaged = np.frombuffer(whole, np.uint8).copy()
            damaged[random.integers(0, min(len(whole), 200), 3)] = random.integers(0, 256, 3)
            for read in (lambda file: decode(file, (3, 8, 8)), is_grey):
                with suppress(Unreadable):
                    read(damaged.tobytes())


def test_what_says_of_itself_that_it_is_grey() -> None:
    red = Image.new("P", (2, 2))
    red.putpalette([0, 0, 0, 255, 0, 0])
    grey = [halves(), halves().convert("LA"), halves().convert("1"), halves().convert("P")]
    grey.append(Image.fromarray(np.zeros((4, 4), np.uint16)))
    assert all(is_grey(encoded(image)) for image in grey)
    assert not any(is_grey(encoded(image)) for image in (red, halves().convert("RGB")))
    assert is_grey(encoded(halves(), "JPEG"))
    with pytest.raises(Unreadable):
        is_grey(b"nothing")


@pytest.mark.parametrize(
    ("shape", "fit", "said"),
    [
        ((2, 8, 8), "crop", r"cannot be decoded as \(2, 8, 8\)"),
        ((3, 0, 8), "crop", r"cannot be decoded as \(3, 0, 8\)"),
        ((3, 8, 8), "cropped", "did you mean 'crop'"),
    ],
)
def test_wrong_settings(shape: tuple[int, int, int], fit: str, said: str) -> None:
    with pytest.raises(UserError, match=said):
        decode(encoded(halves()), shape, fit)


def test_what_is_no_file_of_an_image_is_not_waited_for_or_read(tmp_path: Path) -> None:
    whole, pipe, huge = (tmp_path / f"{name}.png" for name in ("whole", "pipe", "huge"))
    whole.write_bytes(encoded(halves()))
    assert content(whole) == whole.read_bytes()
    os.mkfifo(pipe)
    with huge.open("wb") as file:
        file.truncate(1 << 40)  # of which the disk holds nothing
    for path, why in ((pipe, "not a regular file"), (huge, "more than 1,073,741,824 bytes")):
        with pytest.raises(Unreadable, match=why):
            content(path)
    with pytest.raises(FileNotFoundError):
        content(tmp_path / "none.png")


@settings(deadline=None, derandomize=True, database=None, max_examples=80)
@given(
    st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16"]),
    st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF", "JPEG2000"]),
    st.tuples(st.integers(1, 70), st.integers(1, 70)),
    st.tuples(st.sampled_from([1, 3]), st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(FITS),
)
def test_images_of_any_mode_and_size_get_any_shape(
    mode: str, format: str, size: tuple[int, int], shape: tuple[int, int, int], fit: str
) -> None:
    image = Image.effect_noise(size, 80)
    image = Image.fromarray(np.asarray(image).astype(np.uint16) << 8) if mode == "I;16" else image
    image = image if mode == "I;16" else image.convert(mode)
    try:
        file = encoded(image, format)
    except OSError:  # Pillow does not write this mode in this format
        assume(False)
    pixels = decode(file, shape, fit)
    assert (pixels.shape, pixels.dtype) == (shape, np.uint8)
    assert (decode(file, shape, fit) == pixels).all()
    if mode in ("1", "L", "LA", "I;16") and shape[0] == 3:  # what is grey stays grey
        assert np.ptp(pixels.astype(int), axis=0).max() <= 2


def deep(*values: float, kind: type = np.uint16) -> bytes:
    """An image of one row of pixels with more than 8 bits."""
    image = Image.fromarray(np.array([values], kind))
    return encoded(image, "PNG" if kind is np.uint16 else "TIFF")


@pytest.mark.parametrize(
    ("image", "limits", "pixels"),
    [
        (deep(0, 4095, 2048), (0, 4095), [0, 255, 128]),
        (deep(0, 255, 7), (0, 255), [0, 255, 7]),
        (deep(0, 65535, 256), None, [0, 255, 1]),
        (deep(0, 65535, 256), (0, 65535), [0, 255, 1]),
        (deep(100, 200, 160), (100, 200), [0, 255, 153]),
        (deep(50, 300, 160), (100, 200), [0, 255, 153]),  # outside: black and white
        (deep(7, 7, 7), (7, 7), [0, 0, 0]),
        (deep(-5, 1 << 20, 0, kind=np.int32), (-5, 1 << 20), [0, 255, 0]),
        (deep(0.0, 1.0, 0.5, kind=np.float32), (0, 1), [0, 255, 128]),
    ],
)
def test_deep_pixels_are_scaled_from_their_limits(
    image: bytes, limits: Limits | None, pixels: list[int]
) -> None:
    assert decode(image, (1, 1, 3), limits=limits)[0, 0].tolist() == pixels
    assert is_grey(image)


def test_the_extent_of_deep_pixels() -> None:
    assert extent(deep(3, 4095)) == (3, 4095)
    assert extent(deep(-0.5, 2.5, kind=np.float32)) == (-0.5, 2.5)
    assert extent(encoded(halves())) is None
    with pytest.raises(Unreadable, match="it is empty"):
        extent(b"")
    with pytest.raises(Unreadable, match="not numbers"):
        decode(deep(float("nan"), 1, kind=np.float32), (1, 1, 2), limits=(0, 1))
