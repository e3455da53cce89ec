"""Prompt files of the dialplan: 8 kHz, mono, 16 bit WAV, spoken or checked when the plan was loaded.

Blocking: call it in a thread.
"""

import wave
from pathlib import Path

from bridge.errors import MediaError
from bridge.media.music import music


def read_prompt(path: Path) -> bytes:
    """The PCM of a prompt. Raises MediaError that names the file and what is wrong with it."""
    try:
        with wave.open(str(path), "rb") as reader:
            if (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) != (8000, 1, 2):
                raise MediaError(f"{path}: not 8 kHz, mono, 16 bit")
            return reader.readframes(reader.getnframes())
    except (OSError, wave.Error, EOFError) as error:
        raise MediaError(f"{path}: {error}") from error


def read_music(path: str) -> bytes:
    """The PCM of music on hold; "" is the built-in one. Raises MediaError."""
    return music(path or None)
