"""Every word that the console says, by its name: the one place to translate. `words` has one module a group of pages.

`{name}` is filled in. Templates say `t("name")`; what the browser's script says comes from here too, in the page.
"""

from collections.abc import Mapping

from bridge.console.words import (
    account,
    api,
    approvals,
    audio,
    audit,
    calls,
    common,
    decided,
    dialplan,
    health,
    history,
    signin,
    webhooks,
)

_GROUPS = (
    common,
    signin,
    account,
    approvals,
    calls,
    history,
    audio,
    dialplan,
    health,
    webhooks,
    api,
    decided,
    audit,
)
TEXTS: Mapping[str, str] = {name: words for group in _GROUPS for name, words in group.TEXTS.items()}


def text(name: str, /, **values: object) -> str:
    """The words of this name. KeyError: there are none."""
    return TEXTS[name].format(**values)
