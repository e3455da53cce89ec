"""What there is at one moment, and what of it a page does not show yet: sans-IO.

    Snapshot ─► Seen.compare ─► Changes: new cards, cards that changed, calls on which something was said

A settled card stays where it is: nothing on the page moves under the finger of who is about to press a button.
"""

import hashlib
from dataclasses import dataclass, replace

from bridge.console.card import Card


@dataclass(frozen=True, slots=True)
class Snapshot:
    """`cards`: open requests, the oldest first, and those that were settled lately. `problem`: why it may be old."""

    cards: tuple[Card, ...] = ()
    pending: int = 0
    live_calls: int = 0
    problem: str = ""

    @property
    def open_cards(self) -> tuple[Card, ...]:
        """What a page that is loaded now shows: first what waits for a person."""
        left = [card for card in self.cards if not card.settled]
        return tuple(sorted(left, key=lambda card: not card.pending))

    def only(self, request_id: str) -> "Snapshot":
        """What the page of one request shows of it."""
        return replace(self, cards=tuple(card for card in self.cards if card.request_id == request_id))

    @property
    def digest(self) -> str:
        """The same for the same open cards."""
        shown = sorted((card.request_id, card.version, card.lines, card.earlier) for card in self.open_cards)
        return hashlib.sha256(repr(shown).encode("utf-8", "replace")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Changes:
    """What to tell a page. `whole`: show `added` instead of everything there is."""

    added: tuple[Card, ...] = ()
    changed: tuple[Card, ...] = ()
    spoken: tuple[Card, ...] = ()
    counts: bool = False
    whole: bool = False

    def __bool__(self) -> bool:
        return bool(self.added or self.changed or self.spoken or self.counts or self.whole)


class Seen:
    """What one page shows. `digest`: of what it was loaded with; anything else makes it be filled anew."""

    def __init__(self, digest: str) -> None:
        self._digest = digest
        self._cards: dict[str, Card] | None = None
        self._counts: tuple[int, int, str] | None = None
        self._shown: set[str] = set()

    def compare(self, now: Snapshot) -> Changes:
        """What is new; from then on it is seen."""
        counts = (now.pending, now.live_calls, now.problem)
        moved, self._counts = counts != self._counts, counts
        before, self._cards = self._cards, {card.request_id: card for card in now.cards}
        if before is None:
            self._shown = {card.request_id for card in now.open_cards}
        if before is None and now.digest != self._digest:
            return Changes(added=now.open_cards, counts=moved, whole=True)
        if before is None:
            return Changes(counts=moved)
        both = [(before[card.request_id], card) for card in now.cards if card.request_id in before]
        fresh = [card for card in now.cards if card.request_id not in before]
        back = tuple(
            card for card in fresh if card.request_id in self._shown
        )  # its place is still on the page
        added = tuple(card for card in fresh if card.request_id not in self._shown and not card.settled)
        self._shown |= {card.request_id for card in added}
        return Changes(
            added=added,
            changed=(*(card for old, card in both if _is_other(old, card)), *back),
            spoken=tuple(card for old, card in both if not _is_other(old, card) and old.lines != card.lines),
            counts=moved,
        )


def _is_other(old: Card, new: Card) -> bool:
    """Whether more of a card is another than the last words of its call."""
    return old.version != new.version or old.earlier != new.earlier
