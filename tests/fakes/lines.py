"""Telephone lines for tests: espeak speech at a level, noise under it, cut into frames."""

import functools

import numpy as np

from bridge.media.frame import FRAME_BYTES
from bridge.sim import voice

RATE = 8000


@functools.cache
def speech(text, voice_name="en-us", level_dbfs=-26.0):
    """Samples of `text`, trimmed to its sound, active level as given."""
    sound = np.frombuffer(voice.speak(text, voice=voice_name, rate_hz=RATE), "<i2").astype(float)
    loud = np.flatnonzero(np.abs(sound) > 300)
    sound = sound[loud[0] : loud[-1] + 1]
    active = np.sqrt(np.mean(sound[np.abs(sound) > 300] ** 2))
    return sound * (32768 * 10 ** (level_dbfs / 20) / active)


def silence(ms):
    return np.zeros(RATE * ms // 1000)


def with_noise(sound, noise_dbfs, seed=1):
    noise = np.random.default_rng(seed).normal(0, 32768 * 10 ** (noise_dbfs / 20), len(sound))
    return sound + noise


def frames(*parts):
    pcm = np.concatenate(parts).clip(-32768, 32767).astype("<i2").tobytes()
    whole = len(pcm) // FRAME_BYTES * FRAME_BYTES
    return [pcm[at : at + FRAME_BYTES] for at in range(0, whole, FRAME_BYTES)]


def samples(pcm):
    return np.frombuffer(pcm, "<i2").astype(float)
