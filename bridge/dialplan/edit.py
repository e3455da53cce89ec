"""Changes to a dialplan file that leave the rest of it as a person wrote it: comments, anchors, order, quotes, lines.

    text ──ruamel round trip──► text as ruamel writes it ──┐
    text ──change, ruamel────► text with the change ───────┴─graft──► the person's text with only the change in it

ruamel.yaml keeps comments and anchors, but writes some lines in its own way (long lists, indentation). So what the
round trip alone does to the file is taken back, line by line; the outcome must mean the same, or ruamel's is taken.
Pure: text in, text out. Not worker-safe. Called by `sipbridge dialplan set|unset|add-holiday`.
"""

import difflib
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import CommentMark, YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString
from ruamel.yaml.tokens import CommentToken
from ruamel.yaml.util import load_yaml_guess_indent

from bridge import yamlfile
from bridge.errors import DialplanError, Problem
from bridge.fieldhelp import nearest

Change = Callable[[Any], None]
"""What is done to the file's data, as ruamel has it."""
_PART = re.compile(r"\[([^\]]+)\]|([^.\[\]]+)")


def edited(name: str, text: str, change: Change) -> str:
    """The text with the change. DialplanError: it is no YAML, or the change does not fit it."""
    before = yamlfile.parse(name, text.encode(), DialplanError)
    try:
        plain, changed = _written(text, lambda _data: None), _written(text, change)
    except (YAMLError, _Unfit) as error:
        raise DialplanError([Problem(name, 0, 0, "", str(error))]) from None
    if changed == plain:
        return text
    grafted = "".join(graft(_lines(text), _lines(plain), _lines(changed)))
    wanted = yamlfile.parse(before.name, changed.encode(), DialplanError).data
    try:
        same = yamlfile.parse(before.name, grafted.encode(), DialplanError).data == wanted
    except DialplanError:
        same = False
    return grafted if same else changed


def setting(path: str, value: str) -> Change:
    """Set what is at `path` ("routes.front desk.when.to", "agents.night.voice") to a value written as YAML."""

    def change(data: Any) -> None:
        parent, last = _parent(data, path)
        try:
            parsed = _yaml().load(value)
        except YAMLError as error:
            raise _Unfit(f"{value} is no YAML: {getattr(error, 'problem', '')} (put it in quotes)") from None
        if isinstance(_get(parent, last), str) and not isinstance(parsed, str | list | dict):
            parsed = DoubleQuotedScalarString(value)  # +4930 where text was: it is text again
        parent[_index(parent, last)] = parsed

    return change


def unsetting(path: str) -> Change:
    """Take out what is at `path`."""

    def change(data: Any) -> None:
        parent, last = _parent(data, path)
        place = _index(parent, last)
        if isinstance(parent, CommentedMap) and place not in dict.keys(parent):
            raise _Unfit(f"{path} is not written there" + _hint(last, parent))
        del parent[place]

    return change


def adding(path: str, values: Sequence[str]) -> Change:
    """Add texts to the list at `path`, in order; what is there already stays. The list is made when it is not there."""

    def change(data: Any) -> None:
        parent, last = _parent(data, path)
        found = _get(parent, last)
        if found is None:
            found = parent[_index(parent, last)] = CommentedSeq()
            found.fa.set_flow_style()
        if not isinstance(found, CommentedSeq):
            raise _Unfit(f"{path} is no list")
        for value in values:
            if value not in [str(one) for one in found]:
                _insert(found, value)

    return change


def graft(own: Sequence[str], plain: Sequence[str], changed: Sequence[str]) -> Iterator[str]:
    """Of `changed` the lines in which it differs from `plain`, all others as they are in `own`.

    A line of `own` is the one of `plain` that says the same, whatever its blanks and braces; new lines are indented as
    the person's line before them is.
    """
    to_own, to_changed = _same(plain, own, _bare), _same(plain, changed, str)
    at_plain = at_own = at_changed = shift = 0
    for line in [*(number for number in to_own if number in to_changed), len(plain)]:
        until_own, until_changed = to_own.get(line, len(own)), to_changed.get(line, len(changed))
        between = changed[at_changed:until_changed]
        if between == plain[at_plain:line]:
            yield from own[at_own:until_own]
        else:
            yield from (_shifted(one, shift) for one in between)
        if line < len(plain) and plain[line].strip() and plain[line].lstrip()[0] != "#":
            shift = _indent(own[until_own]) - _indent(plain[line])
        yield from own[until_own : until_own + 1]
        at_plain, at_own, at_changed = line + 1, until_own + 1, until_changed + 1


def parts(path: str) -> list[str]:
    """`routes.front desk.when` in parts; brackets hold what has dots: `routes[a.b].when`."""
    found = [match[1] or match[2] for match in _PART.finditer(path)]
    if not found or _PART.sub("", path).strip("."):
        message = f"{path} is no path"
        raise DialplanError(
            [Problem("", 0, 0, "", message, "write it as agents.NAME.voice or routes[NAME].when.to")]
        )
    return found


class _Unfit(Exception):  # noqa: N818  # control flow inside this module, never seen outside
    pass


def _same(one: Sequence[str], other: Sequence[str], said: Callable[[str], str]) -> Mapping[int, int]:
    """Which line of `other` is which of `one`, by what they say."""
    matcher = difflib.SequenceMatcher(None, [*map(said, one)], [*map(said, other)], autojunk=False)
    blocks = matcher.get_matching_blocks()
    return {block.a + number: block.b + number for block in blocks for number in range(block.size)}


def _bare(line: str) -> str:
    return re.sub(r"[\s{}]", "", line)


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _shifted(line: str, by: int) -> str:
    return line if not line.strip() else " " * (_indent(line) + by) + line.lstrip(" ")


def _lines(text: str) -> list[str]:
    return text.splitlines(keepends=True)


def _written(text: str, change: Change) -> str:
    _, indent, offset = load_yaml_guess_indent(text)
    yaml = _yaml()
    yaml.indent(mapping=2, sequence=indent or 2, offset=offset or 0)
    data = yaml.load(text)
    change(data)
    out = io.StringIO()
    yaml.dump(data, out)
    return out.getvalue()


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 1_000_000
    return yaml


def _parent(data: Any, path: str) -> tuple[Any, str]:
    *way, last = parts(path)
    for part in way:
        found = _get(data, part)
        if not isinstance(found, CommentedMap | CommentedSeq):
            raise _Unfit(f"{path}: there is no {part}" + _hint(part, data))
        data = found
    if isinstance(data, CommentedSeq):
        _index(data, last)
    return data, last


def _get(data: Any, part: str) -> Any:
    if isinstance(data, CommentedSeq):
        return data[_index(data, part)]
    return data.get(part)


def _index(data: Any, part: str) -> Any:
    """The key, or the number of the list's entry with that name or number."""
    if not isinstance(data, CommentedSeq):
        return part
    for number, one in enumerate(data):
        if isinstance(one, CommentedMap) and one.get("name") == part:
            return number
    if part.isdigit() and int(part) < len(data):
        return int(part)
    raise _Unfit(f"there is no {part} in the list" + _hint(part, data))


def _hint(part: str, data: Any) -> str:
    names = (
        [one.get("name", "") for one in data if isinstance(one, CommentedMap)]
        if isinstance(data, list)
        else data
    )
    hint = nearest(part, [str(name) for name in names if name])
    return f" ({hint})" if hint else ""


def _insert(found: CommentedSeq, value: str) -> None:
    """In front of the first that is greater, else at the end, before the blank lines and comments that follow it."""
    quoted = DoubleQuotedScalarString(value)
    after = [number for number, one in enumerate(found) if str(one) > value]
    if after:
        found.insert(after[0], quoted)
        return
    found.append(quoted)
    comments = found.ca.items
    token = comments.get(len(found) - 2, [None])[0]
    if token is not None:
        first, line_end, rest = token.value.partition("\n")
        token.value = first + line_end
        if rest:
            comments[len(found) - 1] = [CommentToken(f"\n{rest}", CommentMark(0), None), None, None, None]
