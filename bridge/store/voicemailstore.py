"""Messages that callers left: read, marked, forgotten, and how far their deliveries are. Part of the Store.

The rows come with their event (voicemailrows.py). Used by control's deliveries and by the command line.
"""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from bridge.store.store import Store
from bridge.store.tables import link_offsets, voicemail_deliveries, voicemails


@dataclass(frozen=True, slots=True)
class Voicemail:
    """One message. `at`: unix seconds when it was left; `state`: new or done."""

    voicemail_id: int
    call_id: str
    at: float
    mailbox: str
    path: str
    seconds: float
    from_uri: str
    called: str
    transcript: str | None
    state: str


@dataclass(frozen=True, slots=True)
class Delivery:
    """One message to one channel. `state`: pending (again at `next_at`), delivered, given_up."""

    voicemail_id: int
    channel: str
    state: str
    tries: int
    next_at: float
    error: str | None


class VoicemailStore:
    """The messages in `store`. Every method raises StoreError when the database does not do it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def messages(self, *, mailbox: str = "", done: bool = False, limit: int = 100) -> list[Voicemail]:
        """The newest first; those done as well when asked for."""
        query = sa.select(voicemails).order_by(voicemails.c.voicemail_id.desc()).limit(limit)
        if mailbox:
            query = query.where(voicemails.c.mailbox == mailbox)
        if not done:
            query = query.where(voicemails.c.state == "new")
        return [_voicemail(row) for row in await self._rows(query)]

    async def message(self, voicemail_id: int) -> Voicemail | None:
        """One, if it is there."""
        rows = await self._rows(sa.select(voicemails).where(voicemails.c.voicemail_id == voicemail_id))
        return _voicemail(rows[0]) if rows else None

    async def deliveries(self, voicemail_id: int) -> list[Delivery]:
        """How far a message is with each of its channels."""
        mine = voicemail_deliveries.c.voicemail_id == voicemail_id
        query = sa.select(voicemail_deliveries).where(mine).order_by(voicemail_deliveries.c.channel)
        return [Delivery(**row._mapping) for row in await self._rows(query)]  # noqa: SLF001  # SQLAlchemy's public name

    async def set_state(self, voicemail_id: int, state: str) -> bool:
        """`new` or `done`; False: there is no such message."""
        change = sa.update(voicemails).where(voicemails.c.voicemail_id == voicemail_id).values(state=state)
        return bool(
            await self._store.transaction("cannot mark a message", lambda it: it.execute(change).rowcount)
        )

    async def forget(self, voicemail_id: int) -> bool:
        """Remove the message and its deliveries; False: there is no such message. The file is the caller's part."""

        def work(connection: sa.Connection) -> bool:
            for table in (voicemail_deliveries, voicemails):
                gone = connection.execute(
                    sa.delete(table).where(table.c.voicemail_id == voicemail_id)
                ).rowcount
            return bool(gone)

        return await self._store.transaction("cannot forget a message", work)

    def _mine(self) -> sa.ColumnElement[bool]:
        """Open deliveries of messages whose files lie on this node."""
        pending = voicemail_deliveries.c.state == "pending"
        if not self._store.shared:
            return pending
        theirs = voicemails.join(link_offsets, link_offsets.c.boot == voicemails.c.boot)
        here = link_offsets.c.node.in_((self._store.node, ""))
        ids = sa.select(voicemails.c.voicemail_id).select_from(theirs).where(here)
        return pending & voicemail_deliveries.c.voicemail_id.in_(ids)

    async def due(self, now: float, limit: int) -> list[tuple[Voicemail, Delivery]]:
        """Deliveries of this node whose time has come, the oldest first."""
        open_ = self._mine() & (voicemail_deliveries.c.next_at <= now)
        query = (
            sa.select(voicemail_deliveries).where(open_).order_by(voicemail_deliveries.c.next_at).limit(limit)
        )

        def work(connection: sa.Connection) -> list[tuple[Voicemail, Delivery]]:
            found = []
            for row in connection.execute(query).all():
                delivery = Delivery(**row._mapping)  # noqa: SLF001  # SQLAlchemy's public name
                wanted = voicemails.c.voicemail_id == delivery.voicemail_id
                found.append(
                    (_voicemail(connection.execute(sa.select(voicemails).where(wanted)).one()), delivery)
                )
            return found

        return await self._store.transaction("cannot read what has to be delivered", work)

    async def hurry(self, now: float) -> None:
        """All that is open is due now: whoever starts control anew may have mended why it failed."""
        change = sa.update(voicemail_deliveries).where(self._mine()).values(next_at=now)
        await self._store.transaction("cannot read what has to be delivered", lambda it: it.execute(change))

    async def next_due(self) -> float | None:
        """When the next delivery is to be tried; None: nothing is open."""
        query = sa.select(sa.func.min(voicemail_deliveries.c.next_at))
        rows = await self._rows(query.where(self._mine()))
        return None if rows[0][0] is None else float(rows[0][0])

    async def keep(self, delivery: Delivery) -> None:
        """How far a delivery is now."""
        mine = (voicemail_deliveries.c.voicemail_id == delivery.voicemail_id) & (
            voicemail_deliveries.c.channel == delivery.channel
        )
        values: dict[str, Any] = {
            "state": delivery.state,
            "tries": delivery.tries,
            "next_at": delivery.next_at,
            "error": delivery.error,
        }
        change = sa.update(voicemail_deliveries).where(mine).values(values)
        await self._store.transaction("cannot keep a delivery", lambda it: it.execute(change))

    async def _rows(self, query: sa.Executable) -> list[Any]:
        return await self._store.transaction("cannot read messages", lambda it: list(it.execute(query).all()))


def _voicemail(row: sa.Row[Any]) -> Voicemail:
    names = Voicemail.__slots__
    return Voicemail(**{name: row._mapping[name] for name in names})  # noqa: SLF001  # SQLAlchemy's public name
