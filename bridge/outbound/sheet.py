"""A campaign's CSV file (RFC 4180): a header with a column `number`; the other columns are variables for the agent.

    bytes ──read──► rows, and for every line that is not one: its number and why

Comma or semicolon, UTF-8. Numbers are judged by the same policy that decides when they are dialled. Pure.
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bridge.outbound import number as numbers
from bridge.outbound.policy import Rules, never
from bridge.outbound.wish import WishError, variables_of

MAX_BYTES = 32 * 1024 * 1024
MAX_ROWS = 100_000
MAX_CELL_CHARS = 10_000


@dataclass(frozen=True, slots=True)
class Row:
    """One person to call. `number`: as it is written in the file."""

    line: int
    number: str
    variables: Mapping[str, str]


@dataclass(slots=True)
class Sheet:
    """What is in the file. `bad`: (line, why) in order; line 1 is the header."""

    rows: list[Row] = field(default_factory=list)
    bad: list[tuple[int, str]] = field(default_factory=list)


def read(content: bytes, rules: Rules | None) -> Sheet:
    """The sheet. Raises nothing: what is wrong is in `bad`."""
    sheet = Sheet()
    if len(content) > MAX_BYTES:
        sheet.bad.append((0, f"the file is longer than {MAX_BYTES // 1024 // 1024} MiB"))
        return sheet
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        sheet.bad.append((line, "not UTF-8: save the file as CSV UTF-8"))
        return sheet
    lines = _lines(text, sheet)
    _, header = next(lines, (1, []))
    names = [name.strip().lower() for name in header]
    wrong = _header_mistake(names)
    if wrong:
        sheet.bad.append((1, wrong))
        return sheet
    seen: dict[str, int] = {}
    for line, cells in lines:
        if len(cells) != len(names):
            sheet.bad.append((line, f"{len(cells)} columns instead of {len(names)}"))
            continue
        values = dict(zip(names, cells, strict=True))
        try:
            row = Row(line, values.pop("number"), variables_of(values))
            _admit(row, rules, seen)
        except (WishError, numbers.NumberError) as error:
            sheet.bad.append((line, str(error)))
        else:
            sheet.rows.append(row)
    return sheet


def _header_mistake(names: Sequence[str]) -> str:
    if "number" not in names:
        return f"the header has no column `number`: {', '.join(names)[:80] or 'it is empty'}"
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        return f"two columns {twice!r}"
    try:
        variables_of(dict.fromkeys(names, ""))
    except WishError as error:
        return str(error)
    return ""


def _admit(row: Row, rules: Rules | None, seen: dict[str, int]) -> None:
    """Raises WishError or NumberError: it may not be called, or is there twice."""
    number = numbers.read(row.number, rules.outbound.region if rules else None)
    refused = never(number, rules)
    if refused is not None:
        raise WishError(refused.reason)
    before = seen.setdefault(number.e164, row.line)
    if before != row.line:
        raise WishError(f"{number.e164} is in line {before} already")


def _lines(text: str, sheet: Sheet) -> Iterator[tuple[int, Sequence[str]]]:
    """(line, cells) of every line that is not empty."""
    first = text.partition("\n")[0]
    csv.field_size_limit(MAX_CELL_CHARS)
    reader = csv.reader(
        io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",", strict=True
    )
    count = 0
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            sheet.bad.append((start, f"not CSV: {error}"))
            return
        if any(cell.strip() for cell in cells):
            count += 1
            if count > MAX_ROWS + 1:
                sheet.bad.append((start, f"more than {MAX_ROWS} lines"))
                return
            yield start, cells
