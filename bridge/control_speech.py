"""What workers ask control to say and to understand: link requests "speech.say" and "speech.hear".

    speech.say  {text, language}            ─► espeak on a thread ─► state_dir/speech/<hash>.wav ─► {path}
    speech.hear {audio, language, options}  ─► Hearing (a process of its own)               ─► {option, heard}

For texts that only a call makes: a place in a queue, a summary before a transfer. Texts are personal: files are 0600,
and none is logged. Every error is a LinkError; a fatal one would come again. Runs on control's loop.
"""

import asyncio
import base64
import binascii
import hashlib
import io
import os
import re
import time
import unicodedata
import wave
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog

from bridge.control_hearing import Hearing
from bridge.control_plan import Speak
from bridge.dialplan.load import PromptText
from bridge.errors import LinkError, MediaError
from bridge.media.frame import RATE_HZ, SAMPLE_BYTES

log = structlog.get_logger(__name__)

MAX_TEXT_CHARS = 2000
MAX_WAITING = 32
MAX_AUDIO_S = 10
MAX_OPTIONS = 40
MAX_PHRASES = 200
MAX_PHRASE_CHARS = 100
DEFAULT_LANGUAGE = "en-us"
_LANGUAGE = re.compile(r"[A-Za-z][A-Za-z0-9+-]{1,31}")


class SpeechCache:
    """Spoken texts as WAV files, the least recently used go first. Blocking; for one thread.

    A file younger than `keep_s`, or used so lately, is never removed: a call may be about to read it. When all are, a
    new text is refused.
    """

    def __init__(
        self,
        folder: Path,
        *,
        max_files: int = 2000,
        max_bytes: int = 256 * 1024 * 1024,
        keep_s: float = 600.0,
    ) -> None:
        self._folder = folder
        self._max_files = max_files
        self._max_bytes = max_bytes
        self._keep_s = keep_s
        self._files: OrderedDict[str, tuple[int, float]] | None = None  # name: (bytes, used at, unix seconds)

    def find(self, name: str, now: float) -> Path | None:
        """The file of this name, used now."""
        path = self._folder / name
        files = self._known()
        if name not in files:
            return None
        try:
            os.utime(path, (now, now))
        except OSError:
            del files[name]
            return None
        files[name] = (files[name][0], now)
        files.move_to_end(name)
        return path

    def put(self, name: str, content: bytes, now: float) -> Path:
        """Write a new file, whole or not at all. Raises LinkError: there is no room, or the disk refuses."""
        files = self._known()
        self._make_room(files, len(content), now)
        path, part = self._folder / name, self._folder / f".{name}.part"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with os.fdopen(
                os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640), "wb"
            ) as file:
                file.write(content)
            os.utime(part, (now, now))
            part.replace(path)
        except OSError as error:
            raise LinkError(f"{path}: cannot be written: {error.strerror}") from error
        files[name] = (len(content), now)
        return path

    def _make_room(self, files: OrderedDict[str, tuple[int, float]], size: int, now: float) -> None:
        total = sum(bytes_ for bytes_, _ in files.values()) + size
        while files and (len(files) >= self._max_files or total > self._max_bytes):
            name, (bytes_, used_at) = next(iter(files.items()))
            if now - used_at < self._keep_s:
                raise LinkError("too much was spoken in the last minutes")
            (self._folder / name).unlink(missing_ok=True)
            del files[name]
            total -= bytes_

    def _known(self) -> OrderedDict[str, tuple[int, float]]:
        if self._files is None:
            found = []
            for path in self._folder.glob("*.wav"):
                facts = path.stat()
                found.append((facts.st_mtime, path.name, facts.st_size))
            for part in self._folder.glob(".*.part"):
                part.unlink(missing_ok=True)
            self._files = OrderedDict((name, (size, used_at)) for used_at, name, size in sorted(found))
        return self._files


class Speech:
    """Answers "speech.say" and "speech.hear". Async context manager: its thread and its process end with it."""

    def __init__(self, cache: SpeechCache, speak: Speak, hearing: Hearing, *, say_s: float = 8.0) -> None:
        self._cache = cache
        self._speak = speak
        self._hearing = hearing
        self._say_s = say_s
        self._waiting = 0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="speech")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self._hearing.__aexit__(kind, error, trace)

    async def answer(self, kind: str, data: Mapping[str, Any]) -> dict[str, Any]:
        """One request. Raises LinkError."""
        if kind == "speech.say":
            return await self._say(data)
        if kind == "speech.hear":
            return await self._hear(data)
        raise LinkError(f"control knows no request {kind[:40]!r}", fatal=True)

    async def _say(self, data: Mapping[str, Any]) -> dict[str, Any]:
        text, language = sayable(data.get("text")), _language(data)
        if not text:
            raise LinkError("there is nothing to say", fatal=True)
        if self._waiting >= MAX_WAITING:
            raise LinkError("too many texts wait to be spoken")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._say_s):
                spoken = asyncio.get_running_loop().run_in_executor(
                    self._thread, self._spoken, text, language
                )
                return {"path": str(await spoken)}
        except TimeoutError as error:
            raise LinkError("speaking took too long") from error
        finally:
            self._waiting -= 1

    def _spoken(self, text: str, language: str) -> Path:
        key = hashlib.sha256(f"{language}\0{text}".encode()).hexdigest()[:40]
        now = time.time()
        path = self._cache.find(f"{key}.wav", now)
        if path is not None:
            return path
        try:
            pcm = self._speak(PromptText(key, text, language))
        except MediaError as error:
            raise LinkError(f"it cannot be spoken: {error}", fatal=True) from error
        return self._cache.put(f"{key}.wav", _wav(pcm), now)

    async def _hear(self, data: Mapping[str, Any]) -> dict[str, Any]:
        language = _language(data)
        if language.lower().partition("-")[0] != "en":
            raise LinkError(f"only English can be understood, not {language}: offer keys", fatal=True)
        options = _options(data.get("options"))
        audio = _audio(data.get("audio"))
        return dict(await self._hearing.hear(audio, options)) if audio else {"option": "", "heard": ""}


def sayable(text: Any) -> str:
    """Without control characters, with single spaces, at most MAX_TEXT_CHARS, cut after a word; "" for no text."""
    if not isinstance(text, str):
        return ""
    # A few times the limit is enough to look at; format characters (Cf) can hide words, surrogates (Cs) are no text.
    shown = (
        char if unicodedata.category(char)[0] not in "CZ" else " " for char in text[: 4 * MAX_TEXT_CHARS]
    )
    clean = " ".join("".join(shown).split())
    if len(clean) <= MAX_TEXT_CHARS:
        return clean
    cut = clean[: MAX_TEXT_CHARS + 1]
    return cut.rpartition(" ")[0] or cut[:MAX_TEXT_CHARS]


def _language(data: Mapping[str, Any]) -> str:
    language = data.get("language") or DEFAULT_LANGUAGE
    if not isinstance(language, str) or not _LANGUAGE.fullmatch(language):
        raise LinkError("the language is no language tag", fatal=True)
    return language


def _options(value: Any) -> dict[str, Sequence[str]]:
    """{"1": ["sales", …], …}, checked for shape and size."""
    if not isinstance(value, dict) or not 0 < len(value) <= MAX_OPTIONS:
        raise LinkError(f"options: 1 to {MAX_OPTIONS} of them are needed", fatal=True)
    phrases = [phrase for many in value.values() if isinstance(many, list) for phrase in many]
    good = all(isinstance(many, list) for many in value.values()) and all(
        isinstance(phrase, str) and len(phrase) <= MAX_PHRASE_CHARS for phrase in phrases
    )
    if not good or not 0 < len(phrases) <= MAX_PHRASES:
        raise LinkError(
            f"options: lists of phrases are needed, {MAX_PHRASES} in all, {MAX_PHRASE_CHARS} characters each",
            fatal=True,
        )
    return dict(value)


def _audio(value: Any) -> bytes:
    if not isinstance(value, str) or len(value) > MAX_AUDIO_S * RATE_HZ * 4 // 3 + 4:
        raise LinkError(f"audio: base64 of at most {MAX_AUDIO_S} s of 8 kHz mu-law is needed", fatal=True)
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError) as error:
        raise LinkError("audio: not base64", fatal=True) from error


def _wav(pcm: bytes) -> bytes:
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(RATE_HZ)
        file.writeframes(pcm)
    return content.getvalue()
