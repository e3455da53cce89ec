"""A browser's side of WebRTC without a browser: aiortc, a tone for a microphone, ears for what comes."""

import asyncio
import fractions
import json
import time

import aiortc
import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack

RATE_HZ = 48000


class Tone(MediaStreamTrack):
    """A microphone that hears one tone."""

    kind = "audio"

    def __init__(self, hz):
        super().__init__()
        self._hz, self._at, self._began_s = hz, 0, time.monotonic()

    async def recv(self):
        await asyncio.sleep(max(0, self._began_s + self._at / RATE_HZ - time.monotonic()))
        wave = 8000 * np.sin(2 * np.pi * self._hz * (np.arange(960) + self._at) / RATE_HZ)
        both = np.repeat(wave.astype("<i2"), 2)[None, :]
        frame = av.AudioFrame.from_ndarray(both, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE_HZ, self._at, fractions.Fraction(1, RATE_HZ)
        self._at += 960
        return frame


class Page:
    """Offers, takes the answer, hears (`heard`: samples at 48 kHz) and is told things (`told`)."""

    def __init__(self, hz=1700):
        self.peer = aiortc.RTCPeerConnection(aiortc.RTCConfiguration(iceServers=[]))
        self.peer.addTrack(Tone(hz))
        self.channel = self.peer.createDataChannel("seat")
        self.told, self._heard, self._listening = [], [], None
        self.channel.on("message", lambda text: self.told.append(json.loads(text)))
        self.peer.on("track", self._track)

    def _track(self, track):
        self._listening = asyncio.create_task(self._listen(track))

    async def _listen(self, track):
        try:
            while True:
                self._heard.append((await track.recv()).to_ndarray().reshape(-1)[::2])
        except MediaStreamError:
            pass

    async def offer(self):
        await self.peer.setLocalDescription(await self.peer.createOffer())
        return self.peer.localDescription.sdp

    async def take(self, answer):
        await self.peer.setRemoteDescription(aiortc.RTCSessionDescription(answer, "answer"))

    @property
    def heard(self):
        return np.concatenate(self._heard[-50:]) if self._heard else np.zeros(1)

    async def close(self):
        await self.peer.close()
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.gather(self._listening, return_exceptions=True)


def share(samples, hz, rate_hz):
    """How much of the energy lies within 30 Hz of a tone: 0 to 1."""
    samples = np.asarray(samples, dtype=float)
    power = np.abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    bins = np.fft.rfftfreq(len(samples), 1 / rate_hz)
    return float(power[np.abs(bins - hz) < 30].sum() / (power.sum() + 1e-9))
