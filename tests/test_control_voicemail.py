"""Against a real mail server and a real HTTP receiver on loopback; rows come from events, as in control."""

import asyncio
import base64
import contextlib
import json
import time

import pytest
from standardwebhooks import Webhook

from bridge.control_voicemail import MAX_AUDIO_BYTES, Retries, VoicemailDesk
from bridge.media.messagefile import message_path, save
from bridge.settings_tools import Channel
from bridge.store.store import Store
from bridge.store.voicemailstore import VoicemailStore
from tests.fakes.events import Script
from tests.fakes.smtp import mail_server
from tests.test_webhook import SECRET, receiving

GUARD_S = 20.0
SOON = Retries(first_s=0.02, longest_s=0.05, give_up_s=3600, send_s=10, poll_s=0.5)
MAIL = Channel(apprise_env="MAIL")


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/store.db"


def recorded(tmp_path, pcm=b"\1\0" * 8000):
    path = message_path(str(tmp_path / "rec"), "c1", 1, time.time())
    save(path, pcm)
    return path


async def left(store, path, *to, **more):
    """A caller left a message."""
    data = {"path": str(path), "seconds": 1.0, "mailbox": "sales", "to": [*to]}
    data |= {"from": "sip:+491@trunk", "called": "sip:100@us", **more}
    await store.write(0, Script(call_id="c1", at=time.time()).tell("voicemail", **data).events)


@contextlib.asynccontextmanager
async def delivering(store, tmp_path, channels, environ, retries=SOON):
    desk = VoicemailDesk(VoicemailStore(store), channels, environ, str(tmp_path / "rec"), retries)
    task = asyncio.create_task(desk.run())
    try:
        yield desk
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def settled(store, wanted="delivered", number=1):
    """The deliveries, once all of them are in the state."""
    async with asyncio.timeout(GUARD_S):
        while True:
            found = await VoicemailStore(store).deliveries(number)
            if found and all(one.state == wanted for one in found):
                return found
            await asyncio.sleep(0.02)


async def test_an_e_mail_holds_the_message_as_a_wav(tmp_path, url):
    path = recorded(tmp_path)
    async with Store(url) as store, mail_server() as (box, mailto):
        await left(store, path, "office", transcript="please call\nme back")
        async with delivering(store, tmp_path, {"office": MAIL}, {"MAIL": mailto}):
            (mail,) = await box.count(1)
            await settled(store)
    assert mail["subject"] == "Voicemail for sales (1 s)"
    assert mail["to"] == "desk@example.org"
    (attached,) = mail.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("voicemail-1.wav", "audio/x-wav")
    assert attached.get_content() == path.read_bytes()
    body = mail.get_body(("plain",)).get_content()
    assert "from: sip:+491@trunk" in body
    assert "transcript: please call me back" in body


async def test_a_webhook_gets_the_audio_signed(tmp_path, url):
    path = recorded(tmp_path)
    async with Store(url) as store, receiving() as (receiver, address):
        await left(store, path, "hook")
        channels = {"hook": Channel(webhook=address, secret_env="HOOK")}
        async with delivering(store, tmp_path, channels, {"HOOK": SECRET}):
            await settled(store)
    ((headers, body),) = receiver.got
    told = Webhook(SECRET).verify(body, headers)
    assert headers["webhook-id"] == "voicemail-1-hook"
    assert told["type"] == "voicemail"
    assert base64.b64decode(told["data"]["audio_wav"]) == path.read_bytes()
    assert told["data"]["path"] == str(path)
    assert (told["data"]["mailbox"], told["data"]["from"]) == ("sales", "sip:+491@trunk")


async def test_a_long_message_goes_into_a_webhook_without_its_audio(tmp_path, url):
    path = recorded(tmp_path, bytes(MAX_AUDIO_BYTES))
    async with Store(url) as store, receiving() as (receiver, address):
        await left(store, path, "hook")
        channels = {"hook": Channel(webhook=address, secret_env="HOOK")}
        async with delivering(store, tmp_path, channels, {"HOOK": SECRET}):
            await settled(store)
    assert json.loads(receiver.got[0][1])["data"]["audio_wav"] is None


async def test_a_server_that_refuses_is_tried_again(tmp_path, url):
    async with Store(url) as store, mail_server(refuse=2) as (box, mailto):
        await left(store, recorded(tmp_path), "office")
        async with delivering(store, tmp_path, {"office": MAIL}, {"MAIL": mailto}):
            await box.count(1)
            (delivery,) = await settled(store)
    assert (box.refused, delivery.tries, delivery.error) == (2, 3, None)


async def test_what_was_not_delivered_is_after_a_restart_of_control(tmp_path, url):
    path = recorded(tmp_path)
    async with Store(url) as store:
        await left(store, path, "office")
        dead = {"MAIL": "mailto://127.0.0.1:1?from=a@example.org&to=b@example.org&mode=insecure"}
        async with delivering(store, tmp_path, {"office": MAIL}, dead), asyncio.timeout(GUARD_S):
            while not (await VoicemailStore(store).deliveries(1))[0].tries:  # noqa: ASYNC110  # the store
                await asyncio.sleep(0.02)
    async with (
        Store(url) as store,
        mail_server() as (box, mailto),
        delivering(store, tmp_path, {"office": MAIL}, {"MAIL": mailto}),
    ):
        await box.count(1)
        assert (await settled(store))[0].tries >= 2


async def test_one_dead_channel_does_not_hold_up_another(tmp_path, url):
    async with Store(url) as store, receiving() as (receiver, address):
        await left(store, recorded(tmp_path), "office", "hook")
        channels = {"office": MAIL, "hook": Channel(webhook=address, secret_env="HOOK")}
        async with delivering(store, tmp_path, channels, {"HOOK": SECRET}), asyncio.timeout(GUARD_S):
            while not receiver.got:  # noqa: ASYNC110  # a socket
                await asyncio.sleep(0.02)
        states = {one.channel: one.state for one in await VoicemailStore(store).deliveries(1)}
    assert states["office"] == "pending"  # its variable is not set


@pytest.mark.parametrize("what", ["unknown channel", "no file", "foreign file", "link out", "bad url"])
async def test_what_can_never_be_delivered_is_given_up_at_once_and_loudly(tmp_path, url, what, capsys):
    path, channel, environ = recorded(tmp_path), "office", {"MAIL": "nonsense"}
    (tmp_path / "secret").write_text("the key")
    if what == "unknown channel":
        channel = "ofice"
    elif what == "no file":
        path.unlink()
    elif what == "foreign file":
        path = tmp_path / "secret"
    elif what == "link out":
        path.unlink()
        path.symlink_to(tmp_path / "secret")
    async with Store(url) as store, delivering(store, tmp_path, {"office": MAIL}, environ) as desk:
        await left(store, path, channel)
        desk.news()
        (delivery,) = await settled(store, "given_up")
    assert delivery.tries == 1
    assert delivery.error
    assert "voicemail.given_up" in capsys.readouterr().out


async def test_after_a_day_of_trying_it_is_given_up(tmp_path, url):
    async with Store(url) as store:
        await left(store, recorded(tmp_path), "office")
        retries = Retries(first_s=0.01, longest_s=0.01, give_up_s=0, least=3, send_s=5, poll_s=0.2)
        async with delivering(store, tmp_path, {"office": MAIL}, {}, retries):
            (delivery,) = await settled(store, "given_up")
    assert delivery.tries == 3
    assert delivery.error.startswith("the environment variable MAIL is not set")


def test_tries_come_ever_more_rarely_up_to_an_hour():
    assert [Retries().after(tries) for tries in (1, 2, 3, 8, 500)] == [30, 60, 120, 3600, 3600]
