"""A QR code (ISO/IEC 18004) as rows of modules, and as SVG that a strict Content-Security-Policy lets through. Pure.

Byte mode, error correction M, versions 1 to 10: up to 213 bytes, enough for what an authenticator app reads. One mask
is used always: a reader takes any, and of random bits no mask is much better than another.
"""

from collections.abc import Iterator

QUIET = 4
_BLOCKS = (
    (10, (16,)), (16, (28,)), (26, (44,)), (18, (32,) * 2), (24, (43,) * 2), (16, (27,) * 4), (18, (31,) * 4),
    (22, (38, 38, 39, 39)), (22, (36,) * 3 + (37,) * 2), (26, (43,) * 4 + (44,)),
)  # fmt: skip
"""By version: codewords of error correction a block, data codewords of each block (table 9, level M)."""
_ALIGNED = (
    (), (6, 18), (6, 22), (6, 26), (6, 30), (6, 34), (6, 22, 38), (6, 24, 42), (6, 26, 46), (6, 28, 50),
)  # fmt: skip
"""By version: rows and columns of the alignment patterns (annex E)."""
_FORMAT = 0b00_000  # level M, mask 0
_FIELD = 0x11D


def modules(words: str) -> list[list[bool]]:
    """Dark modules, row by row, without the quiet zone. ValueError: too long."""
    data = words.encode()
    version = next(
        (one for one in range(1, 11) if len(data) + (2 if one < 10 else 3) <= sum(_BLOCKS[one - 1][1])), None
    )
    if version is None:
        raise ValueError("too long for a QR code of version 10")
    board = _Board(version)
    board.fill(_codewords(data, version))
    return [[bool(dark) for dark in row] for row in board.rows]


def svg_path(rows: list[list[bool]]) -> str:
    """The dark modules as the `d` of one SVG path, a unit each, inside a quiet zone."""
    dark = ((y, x) for y, row in enumerate(rows) for x, is_dark in enumerate(row) if is_dark)
    return "".join(f"M{x + QUIET},{y + QUIET}h1v1h-1z" for y, x in dark)


def _codewords(data: bytes, version: int) -> list[int]:
    """Data and error correction, interleaved (section 7.4 to 7.6)."""
    each, sizes = _BLOCKS[version - 1]
    bits = (
        "0100"
        + format(len(data), "08b" if version < 10 else "016b")
        + "".join(f"{byte:08b}" for byte in data)
    )
    room = 8 * sum(sizes)
    bits += "0" * min(4, room - len(bits))
    bits += "0" * (-len(bits) % 8)
    found = [int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)]
    found += [(0xEC, 0x11)[at % 2] for at in range(sum(sizes) - len(found))]
    blocks, start = [], 0
    for size in sizes:
        blocks.append(found[start : start + size])
        start += size
    checks = [_check(block, each) for block in blocks]
    return [*_woven(blocks), *_woven(checks)]


def _woven(blocks: list[list[int]]) -> Iterator[int]:
    for at in range(max(map(len, blocks))):
        yield from (block[at] for block in blocks if at < len(block))


def _times(a: int, b: int) -> int:
    """In the field of 256 elements."""
    product = 0
    while b:
        product ^= a if b & 1 else 0
        a = (a << 1) ^ (_FIELD if a & 0x80 else 0)
        b >>= 1
    return product


def _check(block: list[int], degree: int) -> list[int]:
    """Reed-Solomon: what is left of the block, divided by (x - 1)(x - 2)(x - 4)… of that degree."""
    generator, root = [1], 1
    for _ in range(degree):
        shifted = [*generator, 0]
        for at, one in enumerate(generator):
            shifted[at + 1] ^= _times(one, root)
        generator, root = shifted, _times(root, 2)
    left = [*block, *[0] * degree]
    for at in range(len(block)):
        for place, one in enumerate(generator):
            left[at + place] ^= _times(one, left[at]) if place else 0
    return left[len(block) :]


def _bch(value: int, generator: int) -> int:
    """A value with its check bits."""
    width = generator.bit_length() - 1
    left = value << width
    while left.bit_length() > width:
        left ^= generator << (left.bit_length() - generator.bit_length())
    return value << width | left


class _Board:
    """`rows`: 1 dark, 0 light, None not set yet."""

    def __init__(self, version: int) -> None:
        self.size = 17 + 4 * version
        self.rows: list[list[int | None]] = [[None] * self.size for _ in range(self.size)]
        self._finders()
        self._alignments(_ALIGNED[version - 1])
        self._timing()
        self._format()
        if version >= 7:
            self._version(version)

    def _finders(self) -> None:
        for top, left in ((0, 0), (0, self.size - 7), (self.size - 7, 0)):
            for y in range(-1, 8):
                for x in range(-1, 8):
                    if 0 <= top + y < self.size and 0 <= left + x < self.size:
                        away = max(abs(y - 3), abs(x - 3))
                        self.rows[top + y][left + x] = int(away in {0, 1, 3})

    def _alignments(self, places: tuple[int, ...]) -> None:
        for y in places:
            for x in places:
                if self.rows[y][x] is None:
                    for dy in range(-2, 3):
                        for dx in range(-2, 3):
                            self.rows[y + dy][x + dx] = int(max(abs(dy), abs(dx)) != 1)

    def _timing(self) -> None:
        for at in range(8, self.size - 8):
            self.rows[6][at] = self.rows[at][6] = int(at % 2 == 0)

    def _format(self) -> None:
        bits = _bch(_FORMAT, 0x537) ^ 0x5412
        along = [0, 1, 2, 3, 4, 5, 7, 8]
        for at in range(15):
            bit = bits >> at & 1
            down = along[at] if at < 8 else self.size - 15 + at
            across = self.size - 1 - at if at < 8 else (7 if at == 8 else 14 - at)
            self.rows[down][8] = self.rows[8][across] = bit
        self.rows[self.size - 8][8] = 1

    def _version(self, version: int) -> None:
        bits = _bch(version, 0x1F25)
        for at in range(18):
            far, near = self.size - 11 + at % 3, at // 3
            self.rows[far][near] = self.rows[near][far] = bits >> at & 1

    def fill(self, codewords: list[int]) -> None:
        """Two columns at a time, up and down, from the right; what is left over is light; then the mask."""
        bits = (byte >> (7 - at) & 1 for byte in codewords for at in range(8))
        upwards = True
        for right in [*range(self.size - 1, 6, -2), *range(5, 0, -2)]:
            for step in range(self.size):
                y = self.size - 1 - step if upwards else step
                for x in (right, right - 1):
                    if self.rows[y][x] is None:
                        self.rows[y][x] = next(bits, 0) ^ int((y + x) % 2 == 0)
            upwards = not upwards
