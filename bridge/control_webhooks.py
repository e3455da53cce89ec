"""Webhooks for events: programs are told of calls and approvals by signed POSTs (ops/webhooks.md).

    EventWatch ─► take_up ─► webhook_deliveries ─► Sender of each endpoint ─► POST ─► delivered, later, or parked

At least once: a row is marked only after its receiver took it, so a control that dies in between sends it again, under
the same id. One node sends, the one with the lease; what it has not sent the next one does. An endpoint that fails is
tried by one request at a time, and holds up no other one. Runs on control's loop.
"""

import asyncio
import contextlib
import random
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

import httpx
import structlog

from bridge import webhook
from bridge.control_events import EventWatch
from bridge.control_health import Metric
from bridge.control_retries import GIVE_UP_S, Outcome, fared, health, pause, settled
from bridge.errors import StoreError, WebhookError
from bridge.records.announce import TEST, Told, name_of, payload, wanted
from bridge.records.complaint import Complaint
from bridge.secretsource import Secrets
from bridge.settings_webhooks import Webhook
from bridge.store.eventstore import Position
from bridge.store.webhookstore import (
    PARKED,
    PENDING,
    STATES,
    Delivery,
    Endpoint,
    EndpointView,
    Item,
    WebhookStore,
)

log = structlog.get_logger(__name__)

MAX_PENDING = 10_000
"""Of one endpoint."""
AT_ONCE = 4
PAGE = 500
TRY_S = 15.0
IDLE_S = 5.0
NOTED_EVERY_S = 10.0
COUNT_EVERY_S, PRUNE_EVERY_S = 10.0, 300.0
FORGOTTEN = "what it was about has been forgotten"


@dataclass(frozen=True, slots=True)
class WebhookDeps:
    """`holds`: whether this node sends; `token`: of that lease. `environ` holds the secrets.

    `pace`: of the waits between tries; tests shorten them.
    """

    store: WebhookStore
    watch: EventWatch
    settings: Mapping[str, Webhook]
    environ: Mapping[str, str]
    holds: Callable[[], bool] = lambda: True
    token: Callable[[], int] = lambda: 0
    pace: float = 1.0


class WebhookDesk:
    """One per control."""

    def __init__(self, deps: WebhookDeps) -> None:
        self._deps = deps
        self._counts: Mapping[tuple[str, str], int] = {}
        self._endpoints: Mapping[str, Endpoint] = {}
        self.sent: Counter[tuple[str, str]] = Counter()
        """Tries by (endpoint, how they ended)."""
        self.parked: Counter[str] = Counter()
        """By endpoint, for want of room."""
        self._news = {name: asyncio.Event() for name in deps.settings}
        self._hurry = {name: asyncio.Event() for name in deps.settings}
        self._complaint = Complaint(log, "webhooks.store", "webhooks.store_back")

    async def shown(self) -> list[EndpointView]:
        """Every endpoint of the settings. Raises StoreError."""
        known = {one.name: one for one in await self._deps.store.endpoints()}
        counts = await self._deps.store.counts()
        return [
            _view(name, chosen, known.get(name), {state: counts.get((name, state), 0) for state in STATES})
            for name, chosen in self._deps.settings.items()
        ]

    async def deliveries(self, endpoint: str, state: str, limit: int) -> list[Delivery]:
        """The newest first; "": all. Raises StoreError."""
        return await self._deps.store.deliveries(endpoint, state, limit)

    async def test(self, name: str) -> bool:
        """Send one event that says nothing; False: there is no such endpoint. Raises StoreError."""
        if name not in self._deps.settings:
            return False
        await self._deps.store.add(name, Item(TEST, secrets.randbits(48), "test", ""))
        self._wake(name)
        return True

    async def enable(self, name: str) -> bool:
        """Let it be told again; False: there is no such endpoint. Raises StoreError."""
        done = await self._deps.store.enable(name)
        self._wake(name)
        return done

    async def again(self, delivery_id: int) -> bool:
        """Tell something once more; False: there is no such delivery that is over. Raises StoreError."""
        done = await self._deps.store.again(delivery_id)
        for name in self._hurry if done else ():
            self._wake(name)
        return done

    def _wake(self, name: str) -> None:
        """Somebody wants to see whether it works: look now, even where it fails."""
        if name in self._hurry:
            self._hurry[name].set()
            self._news[name].set()

    async def run(self) -> None:
        """Until cancelled."""
        async with httpx.AsyncClient(timeout=TRY_S) as client, asyncio.TaskGroup() as tasks:
            tasks.create_task(self._takes())
            for name in self._deps.settings:
                tasks.create_task(
                    _Sender(self._deps, name, client, self.sent, (self._news[name], self._hurry[name])).run()
                )

    def notes(self) -> list[str]:
        """For /healthz and the pages: endpoints that somebody has to look at."""
        found = []
        for name, one in self._endpoints.items():
            left = self._counts.get((name, PENDING), 0)
            if one.disabled_at is not None:
                found.append(f"webhook {name} is disabled: {one.error}")
            elif one.failing_since is not None and one.failures > 2:
                found.append(f"webhook {name} fails ({one.error}); {left} events wait for it")
        return found

    def metrics(self) -> Iterator[Metric]:
        """Families for /metrics; labels are the settings' names."""
        names = tuple(self._deps.settings)
        if not names:
            return
        rows = tuple(
            ({"endpoint": name, "state": state}, float(self._counts.get((name, state), 0)))
            for name in names
            for state in STATES
        )
        yield Metric("sipbridge_webhook_deliveries", "gauge", "Events for webhooks, by state.", rows)
        tries = tuple(
            ({"endpoint": name, "result": result}, float(self.sent[name, result]))
            for name in names
            for result in ("delivered", "failed")
        )
        yield Metric("sipbridge_webhook_tries_total", "counter", "POSTs to webhooks.", tries)
        parked = tuple(({"endpoint": name}, float(self.parked[name])) for name in names)
        yield Metric("sipbridge_webhook_overflow_total", "counter", "Events parked for want of room.", parked)
        down = tuple(
            ({"endpoint": name}, float(one.disabled_at is not None)) for name, one in self._endpoints.items()
        )
        yield Metric("sipbridge_webhook_disabled", "gauge", "1 while a webhook gets nothing.", down)

    # ---- taking up -------------------------------------------------------------------------------------------

    async def _takes(self) -> None:
        while True:
            try:
                if self._deps.holds():
                    await self._while_ours()
                    if not self._deps.settings:
                        return
                self._complaint.worked()
            except StoreError as error:
                self._complaint.failed(str(error))
            except Exception:
                log.exception("webhooks.failed")
            await asyncio.sleep(1.0)

    async def _while_ours(self) -> None:
        """Rows of the settings' endpoints, kept up to date for as long as this node sends."""
        deps, known = self._deps, None
        await deps.store.settle(tuple(deps.settings), await deps.watch.store.head())
        if not deps.settings:
            return
        endpoints = await deps.store.endpoints()
        deps.watch.begin(Position(min(one.place.calls for one in endpoints)))
        counted_at = pruned_at = float("-inf")
        async with deps.watch.watched():
            while deps.holds():
                now = time.monotonic()
                if now - counted_at >= COUNT_EVERY_S:
                    counted_at, self._counts = now, await deps.store.counts()
                    self._endpoints = {one.name: one for one in await deps.store.endpoints()}
                if now - pruned_at >= PRUNE_EVERY_S:
                    pruned_at = now
                    await deps.store.prune()
                known = await deps.watch.news(known, COUNT_EVERY_S)
                if known is not None:
                    await self._take_up(known)

    async def _take_up(self, until: Position) -> None:
        for endpoint in await self._deps.store.endpoints():
            place, head = endpoint.place, self._deps.watch.head
            if place.calls > head.calls:  # events were forgotten, and their numbers come again
                back = Position(head.calls, place.audit)
                await self._deps.store.take_up(
                    endpoint.name, (place, back), [], self._deps.token(), MAX_PENDING
                )
                continue
            while place.calls < until.calls or place.audit < until.audit:
                place = await self._page(endpoint, place, until)
            self._news[endpoint.name].set()

    async def _page(self, endpoint: Endpoint, place: Position, until: Position) -> Position:
        deps, chosen = self._deps, self._deps.settings[endpoint.name]
        told, reached = await deps.watch.store.between(place, until, PAGE)
        events = frozenset[str](chosen.events)
        off = endpoint.disabled_at is not None
        items = [
            Item(one.source, one.number, name_of(one), one.call_id)
            for one in told
            if not off and wanted(one, events, personal=chosen.personal)
        ]
        left_out = await deps.store.take_up(endpoint.name, (place, reached), items, deps.token(), MAX_PENDING)
        if left_out:
            self.parked[endpoint.name] += left_out
            log.error("webhook.full", endpoint=endpoint.name, parked=left_out, most=MAX_PENDING)
        return reached


def _view(name: str, chosen: Webhook, known: Endpoint | None, counts: Mapping[str, int]) -> EndpointView:
    return EndpointView(
        name=name,
        to=urlsplit(chosen.url).netloc,
        events=tuple(chosen.events),
        personal=chosen.personal,
        health=health(known) if known else "well",
        failing_since=known.failing_since if known else None,
        disabled_at=known.disabled_at if known else None,
        delivered_at=known.delivered_at if known else None,
        error=known.error if known else "",
        **{name: counts[name] for name in STATES},
    )


class _Sender:
    """Sends what one endpoint has to be told."""

    def __init__(
        self,
        deps: WebhookDeps,
        name: str,
        client: httpx.AsyncClient,
        sent: Counter[tuple[str, str]],
        told: tuple[asyncio.Event, asyncio.Event],
    ) -> None:
        self._deps = deps
        self._name = name
        self._client = client
        self._sent = sent
        self._news, self._hurry = told

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._news.clear()
            self._hurry.clear()
            pause_s: float | None = None
            if self._deps.holds():
                try:
                    pause_s = await self._round()
                except StoreError as error:
                    log.warning("webhook.store_failed", endpoint=self._name, reason=str(error))
                    pause_s = IDLE_S
                except Exception:
                    log.exception("webhook.crashed", endpoint=self._name)
                    pause_s = IDLE_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S * self._deps.pace if pause_s is None else pause_s):
                    await (self._news if pause_s is None else self._hurry).wait()

    async def _round(self) -> float | None:
        """Send what is due. Seconds to leave the endpoint alone; None: until there is something for it."""
        store, token = self._deps.store, self._deps.token()
        endpoint = next((one for one in await store.endpoints() if one.name == self._name), None)
        if endpoint is None:
            return None
        if endpoint.failing_since is not None:
            await store.park(self._name, "not taken within a day", token, GIVE_UP_S)
        due = await store.due(self._name, AT_ONCE if endpoint.failing_since is None else 1)
        if endpoint.disabled_at is not None:
            due = [one for one in due if one.source == TEST]
        if not due:
            return None
        after = endpoint
        for outcome in await self._send_all(endpoint, due):
            after = fared(after, outcome, time.time())
        await self._note(endpoint, after, token)
        return self._deps.pace * pause(after.failures, random.random())  # noqa: S311  # no secret

    async def _send_all(self, endpoint: Endpoint, due: Sequence[Delivery]) -> list[Outcome]:
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [tasks.create_task(self._deliver(endpoint, one)) for one in due]
        except* StoreError as group:
            why = str(group.exceptions[0])
            raise StoreError(why) from None
        return [outcome for task in running if (outcome := task.result()) is not None]

    async def _deliver(self, endpoint: Endpoint, delivery: Delivery) -> Outcome | None:
        """One try; None: there is nothing left to tell, which says nothing about the endpoint."""
        told = await self._told(delivery)
        token = self._deps.token()
        if told is None:
            over = replace(delivery, state=PARKED, error=FORGOTTEN)
            await self._deps.store.settle_one(over, 0.0, token)
            return None
        outcome = await self._try(endpoint, told)
        chance = random.random()  # noqa: S311  # no secret
        after, wait_s = settled(delivery, outcome, time.time(), chance)
        await self._deps.store.settle_one(after, wait_s * self._deps.pace, token)
        self._sent[self._name, "failed" if outcome.error else "delivered"] += 1
        facts = {"endpoint": self._name, "type": after.type, "call_id": after.call_id, "tries": after.tries}
        if outcome.error:
            log.warning("webhook.not_delivered", **facts, state=after.state, reason=outcome.error)
        else:
            log.debug("webhook.delivered", **facts)
        return outcome

    async def _told(self, delivery: Delivery) -> Told | None:
        if delivery.source == TEST:
            return Told(TEST, delivery.number, "test", "", time.time())
        return await self._deps.watch.store.one(delivery.source, delivery.number)

    async def _try(self, endpoint: Endpoint, told: Told) -> Outcome:
        chosen = self._deps.settings[self._name]
        secret = self._deps.environ.get(chosen.secret_env, "")
        if not secret:
            return Outcome(error=Secrets(self._deps.environ).why_missing(chosen.secret_env))
        message_id = f"{endpoint.key}-{told.source}{told.number}"
        body = payload(told, personal=chosen.personal)
        try:
            async with asyncio.timeout(TRY_S):
                status = await webhook.post(
                    chosen.url, secret, message_id, body, timeout_s=TRY_S, client=self._client
                )
        except WebhookError as error:
            return Outcome(error.status, str(error), error.after_s)
        except TimeoutError:
            return Outcome(error=f"no answer within {TRY_S:g} s")
        except (OSError, ValueError, httpx.InvalidURL) as error:
            return Outcome(error=f"cannot be sent: {error!r}")
        return Outcome(status)

    async def _note(self, before: Endpoint, after: Endpoint, token: int) -> None:
        if health(before) != health(after):
            say = {"well": log.info, "failing": log.warning, "disabled": log.error}[health(after)]
            say("webhook.health", endpoint=self._name, state=health(after), reason=after.error)
        if after.disabled_at is not None and before.disabled_at is None:
            await self._deps.store.park(self._name, f"the webhook was disabled: {after.error}", token)
        fresh = replace(before, delivered_at=after.delivered_at) == after and before.delivered_at
        if after != before and not (fresh and time.time() - fresh < NOTED_EVERY_S):
            await self._deps.store.keep(after, token)
