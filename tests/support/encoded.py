"""Images as files hold them, encoded."""

from pathlib import Path

from support.models import about
from unlabel.data import compressed
from unlabel.data.compressed import CompressedImages, encode, spool
from unlabel.data.images import Images


def kept(images: Images, folder: Path, format: compressed.Format = "png") -> Images:
    """The same images, encoded."""
    files = spool((encode(pixels, format) for pixels in images.image.numpy()), folder)
    return images._replace(image=CompressedImages(files, images.id, about(images).shape, "these"))
