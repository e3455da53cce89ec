"""Pages and pieces of pages from the templates, and the files they use. Everything from outside is escaped.

Autoescape is always on. A character that is not printable is shown as one that is: marks that turn text around
could make an amount read otherwise than it is. Files have their content's hash in their address and are
cached for ever; pages never are.
"""

import hashlib
import time
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from bridge.console.calltimes import FILTERS
from bridge.console.historyrow import clock
from bridge.console.texts import text

PACKAGE = "bridge.console"
_TYPES = {"css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8", "svg": "image/svg+xml"}


class _Compiled(BytecodeCache):
    """In memory, for all renderers of a process: a template takes up to 50 ms to compile."""

    def __init__(self) -> None:
        self._known: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if (known := self._known.get(bucket.key + bucket.checksum)) is not None:
            bucket.bytecode_from_string(known)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._known[bucket.key + bucket.checksum] = bucket.bytecode_to_string()


_COMPILED = _Compiled()


class Renderer:
    """`root`: the path that the console lies under. `files`: (content type, content) by name.

    `helpers`: what templates may ask besides, by name.
    """

    def __init__(self, root: str, helpers: Mapping[str, Any] | None = None) -> None:
        self.files = _files()
        versions = {
            name: hashlib.sha256(content).hexdigest()[:12] for name, (_, content) in self.files.items()
        }
        self._environment = Environment(
            loader=PackageLoader(PACKAGE),
            autoescape=True,
            auto_reload=False,  # an upgrade beside the running program must not mix its pages with ours
            bytecode_cache=_COMPILED,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            finalize=_shown,
        )
        self._environment.filters |= {
            "at": _at,
            "left": _left,
            "clock": clock,
            "words_of": _words_of,
            **FILTERS,
        }
        self._environment.globals |= {
            **(helpers or {}),
            "t": text,
            "root": root,
            "static": lambda name: f"{root}/static/{versions[name]}/{name}",
        }

    def warm(self) -> None:
        """Compile all templates: on a thread, so that the first who looks at a page does not hold up the loop."""
        for name in self._environment.list_templates():
            self._environment.get_template(name)

    def page(self, template: str, values: Mapping[str, Any]) -> str:
        """A template with values."""
        return self._environment.get_template(template).render(values)


def visible(words: str) -> str:
    """Without characters that cannot be seen, but for the ends of lines."""
    if words.isprintable():  # nearly always; a page of a hundred cards has ten thousand texts
        return words
    return "".join(
        char if char.isprintable() or char == "\n" else "\N{REPLACEMENT CHARACTER}" for char in words
    )


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _at(seconds: float) -> str:
    """Unix seconds as a local time of day, with the date when it is another day's."""
    then, today = time.localtime(seconds), time.localtime()
    return time.strftime("%H:%M:%S" if then[:3] == today[:3] else "%Y-%m-%d %H:%M", then)


def _words_of(name: str, group: str) -> str:
    """The words of a name within a group of them."""
    return text(group + name)


def _left(due_at: float) -> int:
    """Whole seconds until then; the browser counts on from here, by its own clock."""
    return max(round(due_at - time.time()), 0)


def _files() -> dict[str, tuple[str, bytes]]:
    found = (entry for entry in (files(PACKAGE) / "static").iterdir() if entry.is_file())
    named = ((entry.name, entry.name.rpartition(".")[2], entry) for entry in found)
    return {name: (_TYPES[kind], entry.read_bytes()) for name, kind, entry in named if kind in _TYPES}
