"""Demands: OpenAI price pages and the formula of the voice-latency-cost guide (cached is a subset of the totals)."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.realtime.usage import (
    Price,
    PriceTable,
    TranscriptionCount,
    Usage,
    counted_by_kind,
    load_prices,
)

PRICES = load_prices()
RAW = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}


def test_usage_is_read_from_response_done():
    usage = Usage.read(RAW)
    assert usage == Usage(text_in=119, audio_in=13, text_cached=64, text_out=30, audio_out=91)
    assert usage.total == 253


def test_cost_counts_cached_tokens_once_at_their_own_price():
    cost = PRICES.cost("gpt-realtime-2.1", Usage.read(RAW))
    expected = Decimal(55 * 4 + 64 * 0 + 13 * 32 + 30 * 24 + 91 * 64) + 64 * Decimal("0.40")
    assert cost == expected / 1_000_000


@pytest.mark.parametrize(
    ("model", "caller", "agent"),
    [("gpt-realtime-2.1", "0.0192", "0.0768"), ("gpt-realtime-2.1-mini", "0.006", "0.024")],
)
def test_a_minute_of_speech_costs_what_the_guide_says(model, caller, agent):
    assert PRICES.cost(model, Usage(audio_in=600)) == Decimal(caller)
    assert PRICES.cost(model, Usage(audio_out=1200)) == Decimal(agent)


def test_every_model_of_the_reference_has_a_price():
    for name in (
        "gpt-realtime-2.1",
        "gpt-realtime-2",
        "gpt-realtime-1.5",
        "gpt-realtime",
        "gpt-realtime-mini",
    ):
        assert PRICES.knows(name)
    assert PRICES.cost("gpt-realtime-1.5", Usage(text_out=1_000_000)) == 16
    assert PRICES.cost("gpt-realtime-2", Usage(image_in=2_000_000, image_cached=1_000_000)) == Decimal("5.5")


def test_an_unknown_model_has_no_cost_rather_than_a_wrong_one():
    assert not PRICES.knows("llama")
    assert PRICES.cost("llama", Usage(audio_in=5)) is None
    assert PRICES.transcription_cost("llama", TranscriptionCount(seconds=5), 5) is None


@pytest.mark.parametrize("raw", [None, {}, [], "x", {"input_token_details": 3, "output_token_details": None}])
def test_missing_usage_of_compatible_servers_counts_as_nothing(raw):
    assert Usage.read(raw) == Usage()
    assert TranscriptionCount.read(raw) == TranscriptionCount()


@pytest.mark.parametrize(
    ("raw", "counted"),
    [
        (RAW, True),
        ({"total_tokens": 0, "input_tokens": 0, "output_tokens": 0}, True),
        (None, False),
        ({}, False),
        ({"total_tokens": 30, "input_tokens": 20, "output_tokens": 10}, False),
        ({"input_token_details": {"audio_tokens": 20}, "output_tokens": 10}, False),
    ],
)
def test_only_tokens_counted_by_kind_have_a_price(raw, counted):
    assert counted_by_kind(raw) is counted


def test_nonsense_counts_are_nothing():
    raw = {"output_token_details": {"text_tokens": -4, "audio_tokens": "many"}}
    assert Usage.read(raw) == Usage()
    assert TranscriptionCount.read({"type": "duration", "seconds": -1}).seconds == 0


def test_transcription_is_paid_by_the_minute_of_reported_audio():
    count = TranscriptionCount.read({"type": "duration", "seconds": 120})
    assert PRICES.transcription_cost("gpt-transcribe", count, 5.0) == Decimal("0.009")


def test_transcription_without_seconds_is_paid_by_the_speech_the_vad_measured():
    count = TranscriptionCount.read(
        {"type": "tokens", "input_tokens": 20, "output_tokens": 4, "total_tokens": 24}
    )
    assert (count.tokens_in, count.tokens_out) == (20, 4)
    assert PRICES.transcription_cost("whisper-1", count, 30.0) == Decimal("0.003")


def test_prices_come_from_any_file_of_the_same_shape(tmp_path):
    file = tmp_path / "prices.toml"
    file.write_text(
        '[[model]]\nnames = ["own"]\n[model.usd_per_million]\ntext_out = 2\n[transcription_usd_per_minute]\n'
    )
    assert load_prices(file).cost("own", Usage(text_out=500_000)) == 1


def test_a_misspelt_price_is_an_error_not_zero(tmp_path):
    file = tmp_path / "prices.toml"
    file.write_text('[[model]]\nnames = ["own"]\n[model.usd_per_million]\ntxet_out = 2\n')
    with pytest.raises(TypeError):
        load_prices(file)


COUNT = st.integers(0, 10**6)


@settings(deadline=None)
@given(st.builds(Usage, *[COUNT] * 8))
def test_cost_is_never_negative_even_when_the_server_counts_more_cached_than_all(usage):
    price = Price(*[Decimal(1)] * 8)
    cost = PriceTable({"m": price}, {}).cost("m", usage)
    assert cost == Decimal(usage.total) / 1_000_000
