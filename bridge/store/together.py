"""Group commit: what several workers bring at the same time goes into one transaction.

    write(A) ─┐                      ┌─► A's answer
    write(B) ─┼─► one transaction ───┼─► B's answer
    write(C) ─┘                      └─► C's answer

A commit costs more than the rows in it. Who comes at the same moment shares the transaction; who comes while it runs
waits for the next one, together with everybody else who waits. When the store refuses a transaction, each is tried by
itself: one that cannot be written costs no other. Nothing is kept here: who gives up waiting (cancelled) has not been
answered and may write again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from bridge.errors import StoreError

Item = TypeVar("Item")
Answer = TypeVar("Answer")


@dataclass(slots=True)
class _Wish(Generic[Item, Answer]):
    item: Item
    taken: bool = False
    answers: list[Answer] = field(default_factory=list)
    error: StoreError | None = None


class Together(Generic[Item, Answer]):
    """`commit(items)` writes all of them or none and gives an answer for each; raises StoreError."""

    def __init__(self, commit: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]]) -> None:
        self._commit = commit
        self._turn = asyncio.Lock()
        self._waiting: list[_Wish[Item, Answer]] = []

    async def write(self, item: Item) -> Answer:
        """Back when it is committed. Raises StoreError: nothing of it was kept."""
        wish: _Wish[Item, Answer] = _Wish(item)
        self._waiting.append(wish)
        async with self._turn:
            if not wish.taken:
                await asyncio.sleep(0)  # whoever woke at the same moment (all links do) is in this one
                batch, self._waiting = self._waiting, []
                await self._write(batch)
        if wish.error is not None:
            raise wish.error
        return wish.answers[0]

    async def _write(self, batch: Sequence[_Wish[Item, Answer]]) -> None:
        for wish in batch:
            wish.taken = True
            wish.error = StoreError("the writing was given up")  # unless it comes to its end
        try:
            answers = await self._commit([wish.item for wish in batch])
        except StoreError as error:
            for wish in batch:
                wish.error = error
            if len(batch) > 1:
                for wish in batch:
                    await self._write([wish])
            return
        for wish, answer in zip(batch, answers, strict=True):
            wish.answers, wish.error = [answer], None
