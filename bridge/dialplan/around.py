"""What there is beside a dialplan and a check has to know. Pure. Not worker-safe."""

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass

UnknownWords = Callable[[Iterable[str]], Collection[str]]
"""Which words of some phrases cannot be understood when a caller says them."""


@dataclass(frozen=True, slots=True)
class Around:
    """None: it is not known, and nothing is said of it.

    `providers` and `channels` (notify.channels): names in the settings. `tools`: names of those that there are.
    """

    providers: Collection[str] | None = None
    channels: Collection[str] | None = None
    tools: Collection[str] | None = None
    unknown_words: UnknownWords | None = None
