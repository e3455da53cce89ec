import asyncio
import base64
import contextlib
import json

from bridge.approval.gate import Gate
from bridge.approval.request import Ask, CallerFacts, Ruling, ToolRequest
from bridge.control_notify import Notifier
from bridge.settings_tools import Channel, Notify
from tests.test_webhook import receiving

GUARD_S = 20.0
SECRET = base64.b64encode(b"s" * 24).decode()


def waiting():
    request = ToolRequest(
        "r1", "c1", "f1", "refund", "d", {"amount": 40, "iban": "DE1"}, "money", False, "bind", "p", 0.0,
        caller=CallerFacts("+491"),
    )  # fmt: skip
    ruling = Ruling("ask", "refunds", "because", ask=Ask("boss", decide_s=60))
    return Gate.open(request, ruling, 1e10)[0]


class Apprise:
    """Remembers what it was to send; refuses the first `refuse` ones."""

    def __init__(self, refuse=0):
        self.sent, self.refuse, self.told = [], refuse, asyncio.Event()

    async def __call__(self, url, title, body):
        self.sent.append((url, title, body))
        self.told.set()
        return len(self.sent) > self.refuse

    async def count(self, wanted):
        async with asyncio.timeout(GUARD_S):
            while len(self.sent) < wanted:
                self.told.clear()
                await self.told.wait()


@contextlib.asynccontextmanager
async def running(notifier):
    task = asyncio.create_task(notifier.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def settings(**more):
    channels = {"mail": Channel(apprise_env="MAIL"), "sales": Channel(apprise_env="MAIL", groups=["sales"])}
    return Notify(channels=channels, **{"reminders": 0, **more})


async def test_the_groups_channels_are_told_with_a_link_and_without_the_caller():
    apprise = Apprise()
    notifier = Notifier(settings(link="https://c/a/{request_id}"), {"MAIL": "mailto://x"}, apprise)
    async with running(notifier):
        notifier.tell("asked", "boss", waiting())
        await apprise.count(1)
    ((url, title, body),) = apprise.sent
    assert (url, title) == ("mailto://x", "Approval needed: refund")
    assert "https://c/a/r1" in body
    assert "refunds" in body
    assert not [secret for secret in ("+491", "DE1", "amount", "arguments") if secret in body]


async def test_arguments_and_number_are_in_it_only_when_the_settings_say_so():
    apprise = Apprise()
    async with running(notifier := Notifier(settings(arguments=True), {}, apprise)):
        notifier.tell("asked", "boss", waiting())
        await apprise.count(1)
    assert "+491" in apprise.sent[0][2]
    assert "DE1" in apprise.sent[0][2]


async def test_who_does_not_decide_is_reminded_as_often_as_set_and_not_after_a_decision():
    apprise, gate = Apprise(), waiting()
    async with running(notifier := Notifier(settings(remind_s=0.05, reminders=2), {}, apprise)):
        notifier.tell("asked", "boss", gate)
        await apprise.count(3)
        await asyncio.sleep(0.15)
        assert [title.split(":")[0] for _, title, _ in apprise.sent] == [
            "Approval needed", "Still waiting for approval", "Still waiting for approval",
        ]  # fmt: skip
        gate.tick(2e10)
        notifier.tell("escalated", "boss", gate)
        await apprise.count(4)
        await asyncio.sleep(0.15)
        assert len(apprise.sent) == 4


async def test_a_channel_that_fails_is_tried_again(monkeypatch):
    monkeypatch.setattr("bridge.control_notify.RETRY_S", 0.01)
    apprise = Apprise(refuse=2)
    async with running(notifier := Notifier(settings(), {}, apprise)):
        notifier.tell("asked", "boss", waiting())
        await apprise.count(3)


async def test_a_webhook_gets_it_signed_under_an_id_of_the_request():
    async with receiving() as (receiver, url):
        channels = {"hook": Channel(webhook=url, secret_env="HOOK")}
        notifier = Notifier(Notify(channels=channels, reminders=0), {"HOOK": SECRET})
        async with running(notifier):
            notifier.tell("reconcile", "boss", waiting())
            async with asyncio.timeout(GUARD_S):
                while not receiver.got:  # noqa: ASYNC110  # a socket
                    await asyncio.sleep(0.01)
    ((headers, body),) = receiver.got
    assert headers["webhook-id"] == "r1-reconcile-0"
    assert json.loads(body)["type"] == "approval.reconcile"


async def test_real_apprise_delivers_to_a_real_receiver():
    async with receiving() as (receiver, url):
        environ = {"MAIL": url.replace("http://", "json://")}
        async with running(notifier := Notifier(settings(), environ)):
            notifier.tell("asked", "boss", waiting())
            async with asyncio.timeout(20):
                while not receiver.got:  # noqa: ASYNC110  # a socket
                    await asyncio.sleep(0.01)
    assert "Approval needed: refund" in receiver.got[0][1]


async def test_an_argument_that_its_tool_hides_is_in_no_message():
    apprise = Apprise()
    notifier = Notifier(settings(arguments=True), {}, apprise, hidden=lambda _tool: ("iban",))
    async with running(notifier):
        notifier.tell("asked", "boss", waiting())
        await apprise.count(1)
    assert "DE1" not in apprise.sent[0][2]
    assert "40" in apprise.sent[0][2]
