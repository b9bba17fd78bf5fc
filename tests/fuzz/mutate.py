"""Ways to damage a file. Each is a function of a random generator and bytes, and gives bytes."""

import gzip
import zlib
from collections.abc import Callable, Sequence
from random import Random
from struct import pack, unpack

Mutation = Callable[[Random, bytes], bytes]
# Numbers at the ends of their types, of which sizes are computed.
EXTREME = [0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def flip(draw: Random, content: bytes) -> bytes:
    """Some bits are others."""
    changed = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        changed[_near(draw, len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def replace(draw: Random, content: bytes) -> bytes:
    """Some bytes are others."""
    changed = bytearray(content)
    for _ in range(draw.choice([1, 2, 4, 16, 64])):
        changed[_near(draw, len(changed))] = draw.randrange(256)
    return bytes(changed)


def extreme(draw: Random, content: bytes) -> bytes:
    """A number in it is as large or small as can be."""
    at, order = _near(draw, len(content)), draw.choice("<>")
    number = draw.choice(EXTREME)
    wide = [kind for kind, most in (("B", 2**8), ("H", 2**16), ("I", 2**32)) if number < most]
    kind = draw.choice(wide)
    value = pack(f"{order}{kind}", number)
    return content[:at] + value + content[at + len(value) :]


def cut(draw: Random, content: bytes) -> bytes:
    """It ends early."""
    return content[: draw.randrange(len(content))]


def remove(draw: Random, content: bytes) -> bytes:
    """A part is missing."""
    start, size = draw.randrange(len(content)), draw.choice([1, 2, 8, 100])
    return content[:start] + content[start + size :]


def repeat(draw: Random, content: bytes) -> bytes:
    """A part is there many times."""
    start, size = draw.randrange(len(content)), draw.choice([1, 4, 32, 300])
    part = content[start : start + size]
    return content[:start] + part * draw.choice([2, 3, 50]) + content[start:]


def insert(draw: Random, content: bytes) -> bytes:
    """Something stands between."""
    at = draw.randrange(len(content))
    return content[:at] + draw.randbytes(draw.choice([1, 4, 64])) + content[at:]


PLAIN: Sequence[Mutation] = (
    *(flip, flip, replace, replace, extreme, extreme),
    *(cut, remove, repeat, insert),
)


def any_(draw: Random, content: bytes) -> bytes:
    """One or several of these."""
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        if content:
            content = draw.choice(PLAIN)(draw, content)
    return content


def png(draw: Random, content: bytes) -> bytes:
    """A chunk is damaged, and has the checksum of what it is then; pixels are damaged unpacked."""
    chunks = []
    at = 8
    while at + 12 <= len(content):
        (size,) = unpack(">I", content[at : at + 4])
        chunks.append((content[at + 4 : at + 8], content[at + 8 : at + 8 + size]))
        at += 12 + size
    hit = draw.randrange(len(chunks))
    kind, data = chunks[hit]
    if kind == b"IDAT" and draw.random() < 0.5:
        data = zlib.compress(any_(draw, zlib.decompress(data)), 1)
    elif data:
        data = any_(draw, data)
    chunks[hit] = (kind, data)
    if draw.random() < 0.2:
        chunks.insert(hit, draw.choice(chunks))
    written = [
        pack(">I", len(data)) + kind + data + pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    ]
    return content[:8] + b"".join(written)


def tar(draw: Random, content: bytes) -> bytes:
    """Damaged, with the checksums that its headers then have, and compressed."""
    changed = bytearray(any_(draw, content))
    if draw.random() < 0.8:
        for at in range(0, len(changed) - 511, 512):
            if changed[at + 257 : at + 262] == b"ustar":
                total = sum(changed[at : at + 512]) - sum(changed[at + 148 : at + 156]) + 8 * 32
                changed[at + 148 : at + 156] = b"%06o\0 " % total
    return gzip.compress(bytes(changed), 1, mtime=0)


def whole_gzip(draw: Random, content: bytes) -> bytes:
    """Damaged after it was compressed."""
    return any_(draw, gzip.compress(content, mtime=0))


def gzipped(draw: Random, content: bytes) -> bytes:
    """Damaged as it was before it was compressed."""
    return gzip.compress(any_(draw, gzip.decompress(content)), 1, mtime=0)


def text(draw: Random, content: bytes) -> bytes:
    """A line is another, or stands elsewhere, or has something that means something in YAML."""
    lines = content.decode().splitlines()
    at = draw.randrange(len(lines))
    match draw.randrange(5):
        case 0:
            lines.insert(draw.randrange(len(lines)), lines.pop(at))
        case 1:
            lines[at] = lines[at][: draw.randrange(len(lines[at]) + 1)]
        case 2:
            lines[at] = f"{lines[at].partition(':')[0]}: {draw.choice(VALUES)}"
        case 3:
            lines[at] = "  " * draw.randrange(4) + lines[at].strip()
        case 4:
            lines.insert(at, draw.choice(LINES))
    return "\n".join(lines).encode()


VALUES = [
    *("null", "[]", "{}", "-1", "0", "1e309", ".nan", "''", "yes", "[1, [2, [3]]]", "{a: {b: c}}"),
    *("!!python/object/apply:os.system ['touch pwned']", "!!python/name:os.system", "&a [*a]"),
    *("2001-01-01", "0x10", "99999999999999999999", "'../../x'", "'a/b'", "'$(touch x)'"),
    *("'${oc.env:HOME}'", "'???'", "'\\0'", "'{x}'"),
]
LINES = [
    *("a: b", "- x", "<<: *x", "&x y:", "? [a]", "_target_: os.system", "%YAML 9.9"),
    *("---", "...", "\t", "'"),
]


def _near(draw: Random, size: int) -> int:
    """A place, half of the time in the first bytes, where headers are."""
    return draw.randrange(min(size, 128) if draw.random() < 0.5 else size)
