"""Mistakes inside one action that its types cannot tell. Pure. Not worker-safe. Called by check_steps.py."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from bridge.dialplan import templatecheck
from bridge.dialplan.schema_steps import Collect, Conference, Dial, Menu, Step, Switch, Tool, Transfer
from bridge.errors import Problem
from bridge.trunk import EDGE_HEADERS
from bridge.yamlfile import KeyPath, YamlFile

SIP_ITSELF = frozenset({
    "via", "v", "from", "f", "to", "t", "call-id", "i", "cseq", "contact", "m", "max-forwards", "route",
    "record-route", "content-length", "l", "content-type", "c", "content-encoding", "e", "allow", "supported",
    "k", "require", "proxy-require", "authorization", "proxy-authorization", "www-authenticate",
    "proxy-authenticate", "session-expires", "x", "min-se", "refer-to", "r", "referred-by", "b", "replaces",
    "event", "o", "rack", "rseq", "p-asserted-identity", "p-preferred-identity", "privacy",
})  # fmt: skip
"""Headers that the SIP stack writes; another one of them breaks the dialog, or takes part in a foreign one."""
_BARE_NAME = re.compile(r"\s*((?:vars|caller|called|headers)\.[A-Za-z][A-Za-z0-9_]*)\s*")


def action_problems(document: YamlFile, step: Step, here: KeyPath) -> Iterator[Problem]:
    """`here`: the path of the step, which has exactly one action."""
    value, path = getattr(step, step.verb), (*here, step.verb)
    check = _CHECKS.get(step.verb)
    if check is not None:
        yield from check(document, value, path)
    if step.tool is not None:
        yield from _arguments(document, step.tool, (*path, "arguments"))
    for inner, text in _templates(step.verb, value, path):
        bare = _BARE_NAME.fullmatch(text)
        if bare:
            yield document.problem(
                inner, f"{bare[1]} is only text here", f"a variable is {{{{ {bare[1]} }}}}"
            )


def twice(document: YamlFile, names: Sequence[str], path: KeyPath) -> Iterator[Problem]:
    """One for each name of the list at `path` that was there before."""
    for number, name in enumerate(names):
        if name in names[:number]:
            yield document.problem((*path, number), f"{name} is named twice", "remove one")


def phrase(word: str) -> str:
    """Words as they are listened for: hyphens and letter case make no difference."""
    return " ".join(re.findall(r"[a-z]+(?:'[a-z]+)*", word.lower()))


def _menu(document: YamlFile, menu: Menu, here: KeyPath) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for key, option in menu.options.items():
        for number, word in enumerate(option.words):
            other = seen.get(phrase(word))
            if other is not None:
                message = f"{word} is named twice" if other == key else f"{word} is a word of {other} too"
                path = (*here, "options", key, "words", number)
                yield document.problem(path, message, "remove one" if other == key else "choose another word")
            seen.setdefault(phrase(word), key)


def _collect(document: YamlFile, collect: Collect, here: KeyPath) -> Iterator[Problem]:
    given = collect.model_fields_set & {"least", "most"}
    if collect.digits is not None and given:
        message = f"digits and {' and '.join(sorted(given))}"
        yield document.problem((*here, "digits"), message, "either one or the other", at_key=True)
    elif collect.least > collect.most:
        hint = "swap them" if len(given) == 2 else "write both: least and most"
        key = "least" if "least" in given else "most"
        message = f"least, {collect.least}, is more than most, {collect.most}"
        yield document.problem((*here, key), message, hint)


def _switch(document: YamlFile, switch: Switch, here: KeyPath) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for case in switch.cases:
        path = (*here, "cases", case)
        first = seen.setdefault(case.strip().lower(), case)
        if first != case:
            hint = "letter case and spaces around it make no difference: remove one"
            yield document.problem(
                path, f"{case.strip()} is the same case as {first.strip()}", hint, at_key=True
            )
        if "{{" in case or "{%" in case:
            hint = "write the value itself; variables go into value"
            yield document.problem(path, "a case is plain text", hint, at_key=True)


def _transfer(document: YamlFile, transfer: Transfer, here: KeyPath) -> Iterator[Problem]:
    yield from _headers(document, transfer.headers, (*here, "headers"))


def _dial(document: YamlFile, dial: Dial, here: KeyPath) -> Iterator[Problem]:
    if dial.together:  # one after the other a target may well be tried again
        yield from twice(document, dial.to, (*here, "to"))
    yield from _headers(document, dial.headers, (*here, "headers"))


def _conference(document: YamlFile, conference: Conference, here: KeyPath) -> Iterator[Problem]:
    yield from twice(document, conference.invite, (*here, "invite"))


def _arguments(document: YamlFile, tool: Tool, here: KeyPath) -> Iterator[Problem]:
    """Their types say nothing of the templates in them."""
    for path, text in texts(tool.arguments, here):
        for _, what, hint in templatecheck.mistakes(text):
            yield document.problem(path, what, hint)


def _headers(document: YamlFile, headers: Mapping[str, str], here: KeyPath) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for name in headers:
        first = seen.setdefault(name.lower(), name)
        if first != name:
            message = f"{name} is the same header as {first}"
            yield document.problem((*here, name), message, "remove one", at_key=True)
        if name.lower() in SIP_ITSELF or name.lower().startswith(EDGE_HEADERS):
            hint = f"choose a name of your own, such as X-{name}"
            yield document.problem((*here, name), f"{name} is written by SIP itself", hint, at_key=True)


def _templates(verb: str, value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """The texts of an action in which a variable alone makes sense."""
    key = _TEMPLATES.get(verb)
    if key is not None:
        yield from texts(getattr(value, key) if key else value, (*path, key) if key else path)


def texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Every text in a tree of mappings and lists, with its path."""
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, Mapping):
        for key, one in value.items():
            yield from texts(one, (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from texts(one, (*path, number))


_TEMPLATES = {
    "set": "",
    "switch": "value",
    "tool": "arguments",
    "transfer": "headers",
    "dial": "headers",
    "park": "slot",
    "pick_up": "",
    "callback": "number",
}
"""Where the texts of an action stand; "": it is one, or a mapping of them."""
_CHECKS: Mapping[str, Callable[[YamlFile, Any, KeyPath], Iterator[Problem]]] = {
    "menu": _menu,
    "collect": _collect,
    "switch": _switch,
    "transfer": _transfer,
    "dial": _dial,
    "conference": _conference,
}
