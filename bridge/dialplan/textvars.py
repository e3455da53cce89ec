"""Constants of a plan in its texts: `vars: {company: Acme}` and `greeting: "${company}, hello"`.

A value that is nothing but `${name}` becomes what the constant is (a number stays a number); within a text a constant
becomes text. It is done once, when the plan is loaded: what a constant holds is not looked at again, and nothing that
a caller sends can name one. `$${` is the text `${`. Keys are never changed. Secrets do not come this way:
`${env:NAME}` is a mistake, and so is a text that looks like one.

Pure. Not worker-safe (it works on what bridge/yamlfile.py read). Called by bridge/dialplan/files.py.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath, YamlFile

LITERAL_KEYS = frozenset({"version", "include", "vars"})
"""Top-level keys whose values are taken as they stand."""

_USE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NO_SECRETS = "name the variable in a key that ends in _env, in the settings"
_SECRETS: Mapping[re.Pattern[str], str] = {
    re.compile(r"\bsk-[A-Za-z0-9_-]{16,}"): "an API key",
    re.compile(r"\bsips?:[^:@\s/]{1,64}:[^@\s/]{1,64}@"): "a password in a SIP address",
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----"): "a private key",
    re.compile(
        r"\b(?:AKIA[0-9A-Z]{16}|gh[pousr]_[A-Za-z0-9]{30,}|xox[baprs]-[A-Za-z0-9-]{10,})"
    ): "an access key",
}
_TOKEN = re.compile(
    r"(?<![A-Za-z0-9+/_=-])(?:[0-9a-fA-F]{32,}|[A-Za-z0-9+/_-]{40,}={0,2})(?![A-Za-z0-9+/_=-])"
)


class Expander:
    """Puts the constants of all documents into each of them. `problems`: what could not be put in.

    `whole`: every document is here; else a constant that is not known may be in one of those that are missing.
    """

    def __init__(self, documents: Sequence[YamlFile], *, whole: bool) -> None:
        self.problems: list[Problem] = []
        self.used: set[str] = set()
        self._whole = whole
        self._constants = {name: value for document in documents for name, value in _vars(document)}

    def expanded(self, document: YamlFile) -> YamlFile:
        """The document with every constant in its place."""
        if not isinstance(document.data, dict) or "${" not in all_texts(document.data):
            return document
        data = {
            key: value if key in LITERAL_KEYS else self._value(document, value, (key,))
            for key, value in document.data.items()
        }
        return YamlFile(document.name, data, document.root)

    def _value(self, document: YamlFile, value: Any, path: KeyPath) -> Any:
        if isinstance(value, str):
            return self._text(document, value, path) if "${" in value else value
        if isinstance(value, dict):
            return {key: self._value(document, one, (*path, key)) for key, one in value.items()}
        if isinstance(value, list):
            return [self._value(document, one, (*path, number)) for number, one in enumerate(value)]
        return value

    def _text(self, document: YamlFile, text: str, path: KeyPath) -> Any:
        whole = _USE.fullmatch(text)
        if whole and whole[1] in self._constants:
            self.used.add(whole[1])
            return self._constants[whole[1]]
        wrong = [found for found in _USE.finditer(text) if self._mistake(document, found, path)]
        return text if wrong else _USE.sub(self._inserted, text)

    def _inserted(self, found: re.Match[str]) -> str:
        if found[0] == "$${":
            return "${"
        self.used.add(found[1])
        value = self._constants[found[1]]
        return str(value).lower() if isinstance(value, bool) else str(value)

    def _mistake(self, document: YamlFile, found: re.Match[str], path: KeyPath) -> bool:
        name = found[1]
        if found[0] == "$${" or name in self._constants:
            return False
        if name is None:
            words = "a ${ that no } ends", "write $${ for the text ${"
        elif name.lower().startswith("env:"):
            words = "secrets and environment variables have no place in a dialplan", _NO_SECRETS
        elif not self._whole:
            return True
        else:
            words = (
                f"there is no constant {name[:40]}",
                nearest(name, self._constants) or "write it under vars",
            )
        self.problems.append(document.problem(path, *words))
        return True


def _vars(document: YamlFile) -> Iterator[tuple[str, Any]]:
    found = document.data.get("vars") if isinstance(document.data, dict) else None
    if isinstance(found, dict):
        yield from ((name, value) for name, value in found.items() if isinstance(value, str | int | float))


def suspicious(document: YamlFile) -> tuple[list[Problem], list[Problem]]:
    """(Mistakes, warnings): texts that surely are secrets, and long tokens without meaning, which may be.

    The texts themselves are not repeated.
    """
    sure: list[Problem] = []
    unsure: list[Problem] = []
    everything = all_texts(document.data)
    if not any(pattern.search(everything) for pattern in (_TOKEN, *_SECRETS)):
        return sure, unsure
    for path, text in _texts(document.data, ()):
        word = next((word for pattern, word in _SECRETS.items() if pattern.search(text)), "")
        token = _TOKEN.search(text)
        if word:
            hint = f"take it out and replace it: {_NO_SECRETS}"
            sure.append(document.problem(path, f"this looks like {word}", hint))
        elif token and re.search(r"[0-9]", token[0]) and re.search(r"[A-Za-z]", token[0]):
            hint = f"if it is one: {_NO_SECRETS}"
            unsure.append(document.problem(path, "this long token looks like a secret", hint))
    return sure, unsure


def all_texts(data: Any) -> str:
    """Every text in one: a plan of thousands of routes is searched once, and walked only where something is."""
    texts, waiting = [], [data]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            texts.append(value)
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
    return "\0".join(texts)


def _texts(value: Any, path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _texts(one, (*path, key))
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from _texts(one, (*path, number))
