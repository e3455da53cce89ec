"""Tokens of a response and what they cost.

Pure: reads the `usage` objects of `response.done` and of input transcription, and multiplies by a price table.
Every field may be missing (compatible servers send `usage: {}` or none) and counts as 0 then; what such a response
costs is unknown, not nothing (`counted_by_kind`).
Formula: cached tokens are a SUBSET of the input totals, so each kind costs (total - cached) x price + cached x cached
price; the transcript of spoken output counts as text output (OpenAI guide voice-latency-cost).
`load_prices` is the one function here that touches a file; the shell calls it once at start.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

from bridge.realtime.wire import number, part, real

PRICES_FILE = Path(__file__).with_name("prices.toml")
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Usage:
    """Token counts of one response. Totals include the cached ones."""

    text_in: int = 0
    audio_in: int = 0
    image_in: int = 0
    text_cached: int = 0
    audio_cached: int = 0
    image_cached: int = 0
    text_out: int = 0
    audio_out: int = 0

    @classmethod
    def read(cls, raw: object) -> "Usage":
        """From a `usage` object of `response.done`; anything missing or not a number is 0."""
        into = part(raw, "input_token_details")
        cached = part(into, "cached_tokens_details")
        out = part(raw, "output_token_details")
        return cls(
            text_in=_count(into, "text_tokens"),
            audio_in=_count(into, "audio_tokens"),
            image_in=_count(into, "image_tokens"),
            text_cached=_count(cached, "text_tokens"),
            audio_cached=_count(cached, "audio_tokens"),
            image_cached=_count(cached, "image_tokens"),
            text_out=_count(out, "text_tokens"),
            audio_out=_count(out, "audio_tokens"),
        )

    @property
    def total(self) -> int:
        """All tokens, in and out."""
        return self.text_in + self.audio_in + self.image_in + self.text_out + self.audio_out


@dataclass(frozen=True, slots=True)
class TranscriptionCount:
    """What one input transcription used: tokens, or seconds of audio, depending on the model."""

    tokens_in: int = 0
    tokens_out: int = 0
    seconds: float = 0.0

    @classmethod
    def read(cls, raw: object) -> "TranscriptionCount":
        """From the `usage` of `…input_audio_transcription.completed` (`type` tokens or duration)."""
        return cls(
            tokens_in=_count(raw, "input_tokens"),
            tokens_out=_count(raw, "output_tokens"),
            seconds=max(0.0, real(raw, "seconds")),
        )


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens; the names are those of `Usage`."""

    text_in: Decimal = Decimal(0)
    audio_in: Decimal = Decimal(0)
    image_in: Decimal = Decimal(0)
    text_cached: Decimal = Decimal(0)
    audio_cached: Decimal = Decimal(0)
    image_cached: Decimal = Decimal(0)
    text_out: Decimal = Decimal(0)
    audio_out: Decimal = Decimal(0)


class PriceTable:
    """Prices by model name. `models`: USD per million tokens; `per_minute`: USD per minute of transcribed audio."""

    def __init__(self, models: Mapping[str, Price], per_minute: Mapping[str, Decimal]) -> None:
        self._models = dict(models)
        self._per_minute = dict(per_minute)

    def knows(self, model: str) -> bool:
        """Whether responses of this model can be priced."""
        return model in self._models

    def cost(self, model: str, usage: Usage) -> Decimal | None:
        """USD of one response; None when the model has no price."""
        price = self._models.get(model)
        if price is None:
            return None
        total = usage.text_out * price.text_out + usage.audio_out * price.audio_out
        for kind in ("text", "audio", "image"):
            cached = min(getattr(usage, f"{kind}_cached"), getattr(usage, f"{kind}_in"))
            uncached = getattr(usage, f"{kind}_in") - cached
            total += uncached * getattr(price, f"{kind}_in") + cached * getattr(price, f"{kind}_cached")
        return total / _MILLION

    def transcription_cost(self, model: str, count: TranscriptionCount, audio_s: float) -> Decimal | None:
        """USD of one input transcription, by minutes of audio; None when the model has no price.

        Models that report tokens are listed with a price a minute all the same: `audio_s`, the length of the
        caller's speech as the server's VAD measured it, stands in when the usage names no seconds.
        """
        rate = self._per_minute.get(model)
        if rate is None:
            return None
        return rate * Decimal(str(count.seconds or audio_s)) / 60


def counted_by_kind(raw: object) -> bool:
    """Whether a `usage` object names the kinds of its tokens, in and out, or says there were none: it has a price."""
    return isinstance(raw, Mapping) and all(
        part(raw, f"{side}_token_details") or raw.get(f"{side}_tokens") == 0 for side in ("input", "output")
    )


def load_prices(path: Path = PRICES_FILE) -> PriceTable:
    """The price table from its data file. Raises OSError, tomllib.TOMLDecodeError, TypeError on a broken file."""
    data = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    models = {
        name: Price(**{key: Decimal(value) for key, value in entry["usd_per_million"].items()})
        for entry in data["model"]
        for name in entry["names"]
    }
    per_minute = {name: Decimal(value) for name, value in data["transcription_usd_per_minute"].items()}
    return PriceTable(models, per_minute)


def _count(raw: object, key: str) -> int:
    return max(0, number(raw, key))
