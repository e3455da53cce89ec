"""The caller's audio on its way to the model: each frame goes out where it comes in.

    leg.audio ─(feed)─► hear ─► encode ─► append ─► transport.send_at_once
                          └ what cannot go at once ─► run: waits until the transport takes it, then feeds on

Fifty times a second and call a task would be woken for a frame; that costs more than the frame. So the media clock's
tick comes through to the socket, on the loop, and the task only works when the model does not keep up. On a machine
that is short of time two frames share an append: one of them is 20 ms later, and all calls wait less. Shell.
"""

import asyncio

from bridge.media.codec import ModelAudio
from bridge.realtime.transport import Transport
from bridge.realtime.wire import append_json
from bridge.sip.port import AudioPort


class Uplink:
    """From the moment it runs until it is cancelled."""

    def __init__(self, audio: AudioPort, codec: ModelAudio, transport: Transport) -> None:
        self._audio = audio
        self._codec = codec
        self._transport = transport
        self._unsent = ""
        self._held = b""
        self._left = False
        self._stuck = asyncio.Event()

    async def run(self) -> None:
        """Raises RemoteSessionError when the peer is gone or takes nothing in time. Frames keep their order."""
        try:
            while True:
                if not self._left:
                    self._audio.feed(self._hear)
                await self._stuck.wait()
                self._stuck.clear()
                await self._transport.send(self._unsent)
        finally:
            self._audio.unfeed(self._hear)

    def leave(self) -> None:
        """Another one has the caller from now on."""
        self._left = True
        self._audio.unfeed(self._hear)

    def _hear(self, pcm: bytes) -> bool:
        if not self._held and self._audio.pressed():
            self._held = pcm
            return True
        if self._held:
            pcm, self._held = self._held + pcm, b""
        append = append_json(self._codec.encode(pcm))
        if self._transport.send_at_once(append):
            return True
        self._unsent = append
        self._stuck.set()
        return False
