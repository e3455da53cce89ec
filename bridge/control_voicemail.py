"""Messages that callers left go to the channels of the settings: e-mail with the WAV, signed webhooks.

    event "voicemail" ──store──► voicemails, voicemail_deliveries ──due──► apprise | webhook
                                        ▲  delivered, or again after 30 s, 1 min, 2 min … 1 h        │
                                        └──────────── given up after a day, loudly ◄─────────────────┘

At least once: a delivery is marked only after its channel took it, so a control that dies in between delivers it again
(a webhook's receiver drops an id it has seen). One task, on control's loop; apprise on threads of its own. Only files
under recording.folder/voicemail are ever sent: the path comes from a worker, and a worker talks to strangers.
"""

import asyncio
import base64
import contextlib
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from io import BufferedReader
from pathlib import Path
from typing import Any

import structlog

from bridge import webhook
from bridge.errors import BridgeError, StoreError
from bridge.media.messagefile import FOLDER, open_message
from bridge.secretsource import Secrets
from bridge.settings_tools import Channel
from bridge.store.voicemailstore import Delivery, Voicemail, VoicemailStore

log = structlog.get_logger(__name__)

MAX_AUDIO_BYTES = 4 * 1024 * 1024
"""A longer message goes into a webhook without its audio: four minutes."""
AT_ONCE = 8
THREADS = 2


@dataclass(frozen=True, slots=True)
class Retries:
    """Seconds. After `give_up_s` since the message was left, and `least` tries, nobody tries again."""

    first_s: float = 30.0
    longest_s: float = 3600.0
    give_up_s: float = 86_400.0
    least: int = 3
    send_s: float = 60.0
    poll_s: float = 30.0
    """Rows can come without a word: the spool of a dead worker."""

    def after(self, tries: int) -> float:
        """Until the next try, when so many have failed."""
        return min(self.first_s * 2.0 ** min(tries - 1, 30), self.longest_s)


class UndeliveredError(BridgeError):
    """A channel did not take a message. `for_good`: trying again would not help."""

    def __init__(self, message: str, *, for_good: bool = False) -> None:
        super().__init__(message)
        self.for_good = for_good


class VoicemailDesk:
    """Delivers. `environ` holds the channels' URLs and secrets; `recordings` is the folder of the recordings."""

    def __init__(
        self,
        store: VoicemailStore,
        channels: Mapping[str, Channel],
        environ: Mapping[str, str],
        recordings: str,
        retries: Retries | None = None,
    ) -> None:
        self._store = store
        self._channels = channels
        self._environ = environ
        self._recordings = recordings
        self._retries = retries or Retries()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="voicemail")
        self._news = asyncio.Event()

    def news(self) -> None:
        """Something may have come: look now."""
        self._news.set()

    async def run(self) -> None:
        """Until cancelled."""
        try:
            with contextlib.suppress(StoreError):  # then they come in their time
                await self._store.hurry(time.time())
            while True:
                self._news.clear()
                pause_s = await self._round()
                try:
                    async with asyncio.timeout(pause_s):
                        await self._news.wait()
                except TimeoutError:
                    continue
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _round(self) -> float:
        """Try what is due; answers the seconds until something may be due again."""
        try:
            due = await self._store.due(time.time(), AT_ONCE)
            async with asyncio.TaskGroup() as tasks:
                for message, delivery in due:
                    tasks.create_task(self._deliver(message, delivery))
            next_at = await self._store.next_due()
        except StoreError as error:
            log.warning("voicemail.store_failed", reason=str(error))
            return self._retries.poll_s
        wait_s = self._retries.poll_s if next_at is None else next_at - time.time()
        return min(max(wait_s, 0.0), self._retries.poll_s)

    async def _deliver(self, message: Voicemail, delivery: Delivery) -> None:
        facts = {"voicemail": message.voicemail_id, "call_id": message.call_id, "channel": delivery.channel}
        try:
            async with asyncio.timeout(self._retries.send_s):
                await self._send(message, delivery.channel)
        except Exception as error:  # noqa: BLE001  # a hundred plug-ins of apprise: none may end control
            later = self._after(error, message, delivery)
            if later.state == "given_up":
                log.error("voicemail.given_up", **facts, tries=later.tries, reason=later.error)  # noqa: TRY400
            else:
                log.warning("voicemail.not_delivered", **facts, tries=later.tries, reason=later.error)
        else:
            later = replace(delivery, state="delivered", tries=delivery.tries + 1, error=None)
            log.info("voicemail.delivered", **facts, tries=later.tries)
        try:
            await self._store.keep(later)
        except StoreError as error:  # it stays due: a second delivery is better than none
            log.warning("voicemail.store_failed", **facts, reason=str(error))
            await asyncio.sleep(self._retries.first_s)

    def _after(self, error: Exception, message: Voicemail, delivery: Delivery) -> Delivery:
        now, tries = time.time(), delivery.tries + 1
        too_late = now - message.at >= self._retries.give_up_s and tries >= self._retries.least
        over = too_late or (isinstance(error, UndeliveredError) and error.for_good)
        reason = str(error) or "no answer in time"
        return replace(
            delivery,
            state="given_up" if over else "pending",
            tries=tries,
            next_at=now + self._retries.after(tries),
            error=reason[:500],
        )

    async def _send(self, message: Voicemail, name: str) -> None:
        channel = self._channels.get(name)
        if channel is None:
            raise UndeliveredError(f"notify.channels has no {name!r}", for_good=True)
        if channel.webhook is not None:
            secret = self._environ.get(str(channel.secret_env), "")
            body = await asyncio.to_thread(_webhook_body, message, self._recordings)
            message_id = f"voicemail-{message.voicemail_id}-{name}"
            await webhook.post(channel.webhook, secret, message_id, body, timeout_s=self._retries.send_s / 2)
            return
        url = self._environ.get(str(channel.apprise_env), "")
        if not url:
            raise UndeliveredError(Secrets(self._environ).why_missing(str(channel.apprise_env)))
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(self._threads, _apprise_now, url, message, self._recordings)


def _opened(message: Voicemail, recordings: str) -> BufferedReader:
    """For the thread that reads it, which closes it: whoever waits for that thread may be cancelled."""
    try:
        return open_message(Path(message.path), recordings)
    except (OSError, RuntimeError, ValueError):
        sentence = f"{message.path}: no message in {recordings}/{FOLDER}"
        raise UndeliveredError(sentence, for_good=True) from None


def _facts(message: Voicemail) -> dict[str, Any]:
    left = datetime.fromtimestamp(message.at).astimezone()
    return {
        "voicemail_id": message.voicemail_id,
        "call_id": message.call_id,
        "mailbox": message.mailbox,
        "from": message.from_uri,
        "called": message.called,
        "left_at": left.isoformat(timespec="seconds"),
        "seconds": round(message.seconds, 1),
        "transcript": message.transcript,
    }


def _webhook_body(message: Voicemail, recordings: str) -> dict[str, Any]:
    """`path` is a reference for who can read this machine's files; `audio_wav` is base64, null when too long."""
    with _opened(message, recordings) as file:
        audio = file.read(MAX_AUDIO_BYTES + 1)
    encoded = base64.b64encode(audio).decode() if len(audio) <= MAX_AUDIO_BYTES else None
    return {"type": "voicemail", "data": {**_facts(message), "path": message.path, "audio_wav": encoded}}


def _apprise_now(url: str, message: Voicemail, recordings: str) -> None:
    # A second of imports that only who is notified this way pays for.
    import apprise  # noqa: PLC0415
    from apprise.attachment.file import AttachFile  # noqa: PLC0415

    messenger = apprise.Apprise()
    if not messenger.add(url):
        raise UndeliveredError(
            "not an apprise URL: see https://github.com/caronc/apprise/wiki", for_good=True
        )
    title = f"Voicemail for {message.mailbox or 'nobody in particular'} ({message.seconds:.0f} s)"
    lines = [
        f"{name.replace('_', ' ')}: {_one_line(value)}" for name, value in _facts(message).items() if value
    ]
    attachment = apprise.AppriseAttachment()
    name = f"voicemail-{message.voicemail_id}.wav"
    with _opened(message, recordings) as file:
        attached = AttachFile(f"/proc/self/fd/{file.fileno()}", name=name)  # type: ignore[no-untyped-call]  # apprise has no types there
        attachment.add(attached)
        if not messenger.notify(body="\n".join(lines), title=title, attach=attachment, body_format="text"):
            raise UndeliveredError("apprise could not deliver it")


def _one_line(value: Any) -> str:
    """What a caller says of themselves must not look like a line of ours."""
    return "".join(char if char.isprintable() else " " for char in str(value))
