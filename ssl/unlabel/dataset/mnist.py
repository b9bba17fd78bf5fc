"""MNIST, and Kuzushiji-MNIST in the same format."""

from dataclasses import dataclass
from typing import ClassVar

from unlabel.dataset._idx import IDX, files


@dataclass(frozen=True, kw_only=True)
class MNIST(IDX):
    """70,000 handwritten digits, (1, 28, 28). LeCun, Bottou, Bengio and Haffner, 1998."""

    title: ClassVar[str] = "MNIST"
    name: ClassVar[str] = "mnist"
    torchvision: ClassVar[str] = "MNIST"
    source: ClassVar[str] = "MNIST (LeCun, Bottou, Bengio, Haffner, 1998)"
    classes: ClassVar[tuple[str, ...]] = tuple("0123456789")
    files: ClassVar = files(
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    )


@dataclass(frozen=True, kw_only=True)
class KMNIST(IDX):
    """70,000 characters of old Japanese handwriting, (1, 28, 28) (arXiv:1812.01718).

    Only the checksums of its archives are known, so unpacked files are ignored.
    """

    title: ClassVar[str] = "Kuzushiji-MNIST"
    name: ClassVar[str] = "kmnist"
    torchvision: ClassVar[str] = "KMNIST"
    source: ClassVar[str] = "Kuzushiji-MNIST (arXiv:1812.01718)"
    classes: ClassVar[tuple[str, ...]] = (
        "o",
        "ki",
        "su",
        "tsu",
        "na",
        "ha",
        "ma",
        "ya",
        "re",
        "wo",
    )
    files: ClassVar = files(
        archives=(
            "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4",
            "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17",
            "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5",
            "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c",
        )
    )
