"""The file of numbers that are never called: one a line, in international form, `#` begins a comment.

Every line must be a number: a line that nobody understands could be somebody who does not want to be called. Pure:
text in, numbers and mistakes out. Used when a plan is checked and by control. Not worker-safe.
"""

import hashlib
import re
from collections.abc import Iterator

from bridge.dialplan.outbound import E164

MAX_BYTES = 32 * 1024 * 1024
_LAYOUT = re.compile(r"[ ()./-]")
_OTHER = re.compile(r"[^0-9+ ()./-]+")


def numbers(content: bytes) -> frozenset[str]:
    """The numbers of a file without mistakes."""
    return frozenset(number for _, number, wrong in _lines(content) if not wrong)


def mistakes(content: bytes) -> Iterator[tuple[int, str]]:
    """(line, what is wrong) for every line that is no number."""
    if len(content) > MAX_BYTES:
        yield 0, f"the file is longer than {MAX_BYTES // 1024 // 1024} MiB"
        return
    for line, _, wrong in _lines(content):
        if wrong:
            yield line, wrong


def content_hash(content: bytes) -> str:
    """16 hex digits that name the content."""
    return hashlib.sha256(content).hexdigest()[:16]


def _lines(content: bytes) -> Iterator[tuple[int, str, str]]:
    for line, raw in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        text = raw.decode("utf-8", "replace").partition("#")[0].strip()
        number = _LAYOUT.sub("", text)
        if text:
            wrong = "" if E164.match(number) else f"{_digits(text)!r} is no number in international form"
            yield line, number, wrong


def _digits(text: str) -> str:
    """What a message may show of a line: a wrong file may hold anything, secrets too."""
    return _OTHER.sub("…", text)[:40]
