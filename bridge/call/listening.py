"""Listening to the caller without a model: a word of a menu, a message.

    leg audio ─► Utterance (media/utterance.py) ─► "speech.hear" to control, which understands it by grammar
              └► MessageRecorder (media/message.py) ─► a WAV file and the event "voicemail"

On the worker's loop.
"""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Any

import structlog

from bridge.call.context import CallContext, NotDoneError
from bridge.call.tasks import cancelled, either
from bridge.dialplan.steps import MenuStep, VoicemailStep
from bridge.errors import LinkError, MediaError
from bridge.media.frame import SILENCE
from bridge.media.g711 import pcmu_encode
from bridge.media.message import MessageRecorder, MessageRules
from bridge.media.messagefile import message_path, save
from bridge.media.tones import beep
from bridge.media.utterance import Said, Utterance, UtteranceRules
from bridge.sip.port import AudioPort

log = structlog.get_logger(__name__)

FRAME_WAIT_S = 0.06  # three packets: a peer that sends none (silence suppression) is silent
MAX_WORDS_MS = 8000


async def frames(audio: AudioPort) -> AsyncIterator[bytes]:
    """What the caller says from now on, 20 ms at a time at 8 kHz; silence while nothing comes."""
    audio.drain()
    while True:
        frame = SILENCE
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FRAME_WAIT_S):
                frame = await audio.read_narrow()
        yield frame


class Ear:
    """Hears one choice. `busy` while the caller speaks or control thinks; `option`: the key, "" when not understood."""

    def __init__(self, context: CallContext, step: MenuStep) -> None:
        self._context = context
        self._step = step
        self.busy = False
        self.option = ""

    async def listen(self) -> None:
        """Back when something was said, understood or not. The first word stops the prompt."""
        utterance = Utterance(UtteranceRules(max_ms=MAX_WORDS_MS, nothing_ms=None))
        async for frame in frames(self._context.caller.leg.audio):
            match utterance.push(frame):
                case Said.STARTED:
                    self.busy = True
                    self._context.caller.hush()
                case Said.OVER:
                    break
        await self._understand(utterance.audio())
        self.busy = False

    async def _understand(self, pcm: bytes) -> None:
        question = {
            "audio": base64.b64encode(pcmu_encode(pcm)).decode("ascii"),
            "language": self._step.language,
            "options": {key: list(words) for key, words in self._step.words.items()},
        }
        deadline_s = self._context.deps.config.deadlines.link_request_s
        try:
            answer = await self._context.deps.request("speech.hear", question, deadline_s)
        except LinkError as error:
            self._context.trouble("menu", "not_heard", str(error))
            if error.fatal:
                self.busy = False
                await asyncio.Event().wait()  # no words in this language: keys only, until cancelled
            return
        self.option = str(answer.get("option", ""))
        heard = str(answer.get("heard", ""))
        self._context.journal.note("menu.heard", key=self.option, text=heard, ms=len(pcm) // 16)


async def voicemail(context: CallContext, step: VoicemailStep) -> None:
    """Record a message. One that the caller ends by hanging up is kept too. NotDoneError: nothing was said."""
    await context.caller.answer()
    await context.caller.play(await context.prompts(step.prompts) + beep())
    recorder = MessageRecorder(MessageRules(silence_s=step.silence_s, max_s=step.max_s))
    try:
        with context.caller.keys() as keys:

            async def until_finished() -> None:
                while await keys.get() != step.finish_key:
                    pass

            await either(until_finished(), _record(context.caller.leg.audio, recorder))
    finally:
        keeping = asyncio.create_task(_keep(context, step, recorder.finish()))
        try:
            await asyncio.shield(keeping)
        except asyncio.CancelledError:  # the call is over; the message must not be
            await asyncio.wait({keeping})
            raise
        finally:
            await cancelled(keeping)
    if not keeping.result():
        raise NotDoneError("no message was left")


async def _record(audio: AudioPort, recorder: MessageRecorder) -> None:
    async for frame in frames(audio):
        if recorder.feed(frame, time.monotonic()):
            return


async def _keep(context: CallContext, step: VoicemailStep, pcm: bytes | None) -> bool:
    """Write the message and tell control, which delivers it."""
    if pcm is None:
        return False
    folder = context.deps.config.recording.folder
    context.messages += 1
    path = message_path(folder, context.call_id, context.messages, time.time())
    try:
        seconds = await asyncio.to_thread(save, path, pcm)
    except MediaError as error:
        context.trouble("voicemail", "not_kept", str(error))
        return False
    facts: dict[str, Any] = {"from": context.facts.from_number, "called": context.facts.to_number}
    context.journal.note(
        "voicemail",
        path=str(path),
        seconds=round(seconds, 1),
        mailbox=step.mailbox,
        to=list(step.to),
        **facts,
    )
    return True
