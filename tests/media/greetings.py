"""Greetings of people and machines, spoken by espeak-ng in several voices and speeds, with and without noise."""

import itertools

import numpy as np

from bridge.media.g711 import pcmu_decode, pcmu_encode
from bridge.media.tones import beep, tone
from bridge.sim.voice import speak

PEOPLE = (
    "Hello?", "Yes?", "Hello, this is Anna.", "Smith.", "Good morning.", "Hi.", "Anna Smith speaking.", "Yes, hello?",
    "Doctor Miller's office.", "Hello? Who is this?",
)  # fmt: skip
SCREENING = (
    "Hi, if you record your name and reason for calling, I will see if this person is available.",
    "The person you are calling is using a screening service. Please say your name and why you are calling.",
)
MACHINES = (
    "Hi, you have reached Anna Smith. I cannot take your call right now. Please leave a message after the tone.",
    "You have reached the voice mail of five five five, one two three four. Please record your message.",
    "The person you are calling is not available at the moment. Please try again later.",
    "Hello, this is the answering machine of the Miller family. We are not at home. Please speak after the beep.",
    "Welcome to the city hospital. For appointments press one. For emergencies press two.",
    "The number you have dialled is not in service. Please check the number and dial again.",
)
VOICES = ("en-us", "en-us+f3", "en-gb-x-rp", "en-us+m7")
SPEEDS = (140, 165, 190)
NOISES_DBFS = (None, -55.0, -45.0)
LEAD_MS = (200, 700)
TAIL_MS = 6000


def line(pcm, noise_dbfs=None, gain=1.0, seed=1):
    """As it comes over a telephone line: gain, white noise, µ-law."""
    samples = np.frombuffer(pcm, "<i2").astype(np.float64) * gain
    if noise_dbfs is not None:
        samples += np.random.default_rng(seed).normal(0, 32768 * 10 ** (noise_dbfs / 20), len(samples))
    return pcmu_decode(pcmu_encode(np.clip(samples, -32768, 32767).astype("<i2").tobytes()))


def greeting(text, voice, wpm, lead_ms, noise_dbfs, gain=1.0):
    """One of them, with silence before and long after it."""
    pcm = bytes(16 * lead_ms) + speak(text, voice=voice, wpm=wpm, rate_hz=8000) + bytes(16 * TAIL_MS)
    return line(pcm, noise_dbfs, gain)


def every(texts):
    """(name, pcm) of every combination."""
    for text, voice, wpm, lead_ms, noise in itertools.product(texts, VOICES, SPEEDS, LEAD_MS, NOISES_DBFS):
        yield (
            f"{text[:24]} {voice} {wpm} {lead_ms} ms {noise} dBFS",
            greeting(text, voice, wpm, lead_ms, noise),
        )


def music(ms=4000):
    """Chords that change every half second."""
    chords = ((262, 330, 392), (294, 370, 440), (330, 415, 494), (349, 440, 523))
    return b"".join(tone(chords[n % 4], 500, -20.0) for n in range(ms // 500))


def special_information():
    """SIT (ITU-T E.180 section 7.3): 950, 1400, 1800 Hz, 330 ms each."""
    return b"".join(tone((hz,), 330, -14.0) for hz in (950, 1400, 1800))


def a_beep(ms=300, hz=1000.0):
    """What a machine says last."""
    return beep(ms, hz)
