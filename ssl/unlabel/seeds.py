"""Random numbers that depend on what they are for, and on nothing else."""

from hashlib import sha256

from torch import Generator


def derive(*purpose: object) -> int:
    """A seed in [0, 2⁶³) from, say, `(run seed, "shuffle", epoch)`.

    When every draw is seeded like this, a run can resume at any step without a generator's state.
    """
    digest = sha256("/".join(map(str, purpose)).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*purpose: object) -> Generator:
    """A CPU generator seeded by `derive(*purpose)`."""
    return Generator().manual_seed(derive(*purpose))
