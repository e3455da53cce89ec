"""Who is told that a request waits: apprise (mail, chat, SMS, …) and signed webhooks, with reminders.

    Gate's Notify ─► Notifier.tell ─► queue ─► channels of the group ─► apprise | webhook
                        └── while nobody decides: again after remind_s

A channel that fails is tried again and never holds up a call. Without `notify.arguments` a message names tool, rule and
link and nothing about the caller. One task, on control's loop.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import structlog

from bridge import webhook
from bridge.approval.actions import State
from bridge.approval.gate import Gate
from bridge.errors import WebhookError
from bridge.settings_tools import Channel, Notify

log = structlog.get_logger(__name__)

MAX_QUEUED = 1000
TRIES = 3
THREADS = 2
RETRY_S = 2.0
SEND_S = 20.0
TITLES = {
    "asked": "Approval needed: {tool}",
    "reminder": "Still waiting for approval: {tool}",
    "escalated": "Escalated: approval needed: {tool}",
    "reconcile": "Outcome unknown, please look: {tool}",
}
Send = Callable[[str, str, str], Any]
"""(apprise URL, title, body) -> an awaitable bool."""


class Notifier:
    """Tells people. `send` is apprise; `hidden` names the arguments of a tool that no message shows."""

    def __init__(
        self,
        settings: Notify,
        environ: Mapping[str, str],
        send: Send | None = None,
        hidden: Callable[[str], Iterable[str]] = lambda _tool: (),
    ) -> None:
        self._settings = settings
        self._environ = environ
        self._hidden = hidden
        # Of its own: a channel that hangs must not hold up what else uses threads, such as names looked up for a call.
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="notify")
        self._send = send or self._apprise
        self._queue: asyncio.Queue[tuple[str, str, Gate, int]] = asyncio.Queue(MAX_QUEUED)
        self._tasks: asyncio.TaskGroup

    def tell(self, kind: str, group: str, gate: Gate) -> None:
        """`asked`, `escalated` or `reconcile`; returns at once. More than MAX_QUEUED are logged only."""
        log.info(
            "tool.notify", kind=kind, group=group, request_id=gate.request.request_id, tool=gate.request.tool
        )
        try:
            self._queue.put_nowait((kind, group, gate, 0))
        except asyncio.QueueFull:
            log.error("notify.full", request_id=gate.request.request_id)  # noqa: TRY400  # it says it all

    async def run(self) -> None:
        """Until cancelled."""
        try:
            await self._run()
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as self._tasks:
            while True:
                kind, group, gate, count = await self._queue.get()
                for name, channel in self._settings.channels.items():
                    if not channel.groups or group in channel.groups:
                        self._tasks.create_task(self._deliver(name, channel, kind, group, gate, count))
                if kind != "reconcile" and count < self._settings.reminders and self._settings.channels:
                    self._tasks.create_task(self._remind(group, gate, count + 1))

    async def _remind(self, group: str, gate: Gate, count: int) -> None:
        await asyncio.sleep(self._settings.remind_s)
        if gate.state is State.PENDING and not self._queue.full():
            self._queue.put_nowait(("reminder", group, gate, count))

    async def _deliver(  # one message
        self, name: str, channel: Channel, kind: str, group: str, gate: Gate, count: int
    ) -> None:
        for attempt in range(TRIES):
            try:
                async with asyncio.timeout(SEND_S):
                    await self._once(channel, kind, group, gate, count)
            except Exception as error:  # noqa: BLE001  # a hundred plug-ins of apprise: none may end control
                facts = {"channel": name, "request_id": gate.request.request_id, "attempt": attempt + 1}
                log.warning("notify.failed", **facts, reason=str(error) or "no answer in time")
                await asyncio.sleep(RETRY_S * 2**attempt)
            else:
                return

    async def _once(self, channel: Channel, kind: str, group: str, gate: Gate, count: int) -> None:
        facts = self.facts(kind, group, gate)
        if channel.webhook is not None:
            secret = self._environ.get(str(channel.secret_env), "")
            message_id = f"{gate.request.request_id}-{kind}-{count}"
            await webhook.post(
                channel.webhook, secret, message_id, {"type": f"approval.{kind}", "data": facts}
            )
            return
        url = self._environ.get(str(channel.apprise_env), "")
        title = TITLES[kind].format(tool=gate.request.tool)
        if not await self._send(url, title, _body(facts)):
            raise WebhookError("apprise could not deliver it", lost=True)

    def facts(self, kind: str, group: str, gate: Gate) -> dict[str, Any]:
        """What a message says: nothing about the caller unless the settings allow it."""
        request, ask = gate.request, gate.ruling.ask
        facts: dict[str, Any] = {
            "kind": kind,
            "request_id": request.request_id,
            "tool": request.tool,
            "risk": request.risk,
            "rule": gate.ruling.rule or "no rule fits",
            "group": group,
            "approvers": ask.approvers if ask else 1,
        }
        if gate.due_at is not None:
            facts["decide_within_s"] = max(round(gate.due_at - time.time()), 0)
        if self._settings.link:
            facts["link"] = self._settings.link.replace("{request_id}", request.request_id)
        if self._settings.arguments:
            hidden = {*self._hidden(request.tool)}
            shown = {name: "…" if name in hidden else value for name, value in gate.arguments.items()}
            facts |= {"arguments": shown, "caller": request.caller.number}
        return facts

    async def _apprise(self, url: str, title: str, body: str) -> bool:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, _apprise_now, url, title, body)


def _body(facts: Mapping[str, Any]) -> str:
    return "\n".join(f"{name.replace('_', ' ')}: {value}" for name, value in facts.items() if name != "kind")


def _apprise_now(url: str, title: str, body: str) -> bool:
    # A second of imports that only who is notified this way pays for.
    import apprise  # noqa: PLC0415

    messenger = apprise.Apprise()
    if not messenger.add(url):
        log.error("notify.bad_url", hint="see https://github.com/caronc/apprise/wiki")
        return True  # trying again would not help
    return bool(messenger.notify(body=body, title=title))
