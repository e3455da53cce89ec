"""A caller's wish to be called back, put to the outbound rules like anybody's wish for a call.

Nothing here dials: the wish becomes a sealed job, which control judges (control_outbound.py) and calls when it is due
and allowed. A wish of a caller that may be called only at other hours waits for them, as a campaign's would.
"""

import time
from collections.abc import Callable
from dataclasses import replace

from bridge.control_outbound_requests import ruled, sealed_job
from bridge.control_waiting import CallBack, CallBackWish
from bridge.outbound.wish import WishError, wish_of
from bridge.store.outboundstore import OutboundStore

VIA = "callback"


def call_back(store: OutboundStore, key: bytes, now: Callable[[], float] = time.time) -> CallBack:
    """What WaitingRoom asks. `key`: of the seal. It raises StoreError: nobody has judged the wish in time."""

    async def ask(wish: CallBackWish) -> str:
        body = {"number": wish.number, "variables": {"callback_of": wish.call_id}}
        try:
            asked = wish_of(body, "caller", VIA, now())
        except WishError as error:
            return str(error)
        job = replace(sealed_job(key, asked), due_at=now() + wish.after_s)
        await store.add([job])
        ruling = await ruled(store, job.job_id)
        return ruling.reason if ruling.state == "refused" else ""

    return ask
