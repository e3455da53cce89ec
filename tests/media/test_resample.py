import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pesq import pesq

from bridge.media import g711
from bridge.media.resample import Resampler, converted, ratio

SPEECH = Path(__file__).parents[1] / "data" / "speech8k.wav"


def speech() -> bytes:
    with wave.open(str(SPEECH)) as file:
        assert file.getparams()[:3] == (1, 2, 8000)
        return file.readframes(file.getnframes())


def tone(hz, rate_hz, seconds=2.0, amplitude=16000):
    at = np.arange(int(rate_hz * seconds)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * hz * at)).round().astype("<i2").tobytes()


def spectrum_db(pcm, rate_hz):
    """Power by frequency of the settled part, and the frequencies."""
    samples = np.frombuffer(pcm, dtype="<i2").astype(float)[rate_hz // 10 :]
    power = abs(np.fft.rfft(samples * np.hanning(len(samples)))) ** 2
    return power, np.fft.rfftfreq(len(samples), 1 / rate_hz)


def level_db(pcm):
    samples = np.frombuffer(pcm, dtype="<i2").astype(float)[1000:]
    return 10 * np.log10((samples**2).mean() + 1e-9)


def in_frames(pcm, size):
    return [pcm[at : at + size] for at in range(0, len(pcm), size)]


def there_and_back(pcm):
    up, down = Resampler(3, 1), Resampler(1, 3)
    return b"".join(down.push(up.push(frame)) for frame in in_frames(pcm, 320))


@pytest.mark.parametrize("hz", [4600, 5000, 5500, 7000, 9000, 11500])
def test_what_would_fold_into_the_telephone_band_is_55_db_down(hz):
    pcm = tone(hz, 24000)

    assert level_db(Resampler(1, 3).push(pcm)) < level_db(pcm) - 55


@pytest.mark.parametrize("hz", [300, 1000, 2000, 3000, 3400])
def test_images_above_the_telephone_band_are_55_db_down(hz):
    power, at = spectrum_db(Resampler(3, 1).push(tone(hz, 8000)), 24000)

    assert 10 * np.log10(power[at > 4000].sum() / power[abs(at - hz) < 20].sum()) < -55


@pytest.mark.parametrize("hz", [100, 300, 1000, 2000, 3000, 3400])
@pytest.mark.parametrize(("up", "down", "rate_hz"), [(3, 1, 8000), (1, 3, 24000)])
def test_the_telephone_band_is_flat(hz, up, down, rate_hz):
    pcm = tone(hz, rate_hz)

    assert level_db(Resampler(up, down).push(pcm)) == pytest.approx(level_db(pcm), abs=0.1)


@pytest.mark.parametrize(("up", "down"), [(3, 1), (1, 3)])
def test_the_delay_is_what_it_says_and_at_most_3_ms(up, down):
    rng = np.random.default_rng(7)
    fine = rng.normal(0, 4000, 24000)
    # Band-limited noise known at both rates: every third sample of the fine one is the coarse one.
    spectrum = np.fft.rfft(fine)
    spectrum[np.fft.rfftfreq(24000, 1 / 24000) > 3000] = 0
    fine = np.fft.irfft(spectrum)
    given_, wanted = (fine[::3], fine) if up == 3 else (fine, fine[::3])
    resampler = Resampler(up, down)

    got = np.frombuffer(resampler.push(given_.round().astype("<i2").tobytes()), dtype="<i2").astype(float)

    lag = np.fft.irfft(np.fft.rfft(got, 2 * len(got)) * np.conj(np.fft.rfft(wanted, 2 * len(got))))
    step_ms = 1000 / (24000 if up == 3 else 8000)
    assert np.argmax(lag) * step_ms == pytest.approx(resampler.delay_ms, abs=step_ms / 2)
    assert resampler.delay_ms <= 3


def test_speech_there_and_back_is_transparent():
    pcm = speech()

    back = there_and_back(pcm)

    assert len(back) == len(pcm)
    assert pesq(8000, np.frombuffer(pcm, "<i2"), np.frombuffer(back, "<i2"), "nb") >= 4.4


def test_speech_between_two_mu_law_ends_loses_little_more_than_mu_law_itself():
    """The phone sends µ-law and hears µ-law: measured against what it sent, not against the studio."""
    pcm = speech()
    sent = g711.pcmu_decode(g711.pcmu_encode(pcm))

    heard = g711.pcmu_decode(g711.pcmu_encode(there_and_back(sent)))

    assert pesq(8000, np.frombuffer(sent, "<i2"), np.frombuffer(heard, "<i2"), "nb") >= 4.4


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 2000), max_size=40), up=st.booleans(), seed=st.integers(0, 9))
def test_how_the_stream_is_cut_changes_neither_samples_nor_length(cuts, up, seed):
    pcm = np.random.default_rng(seed).integers(-9000, 9000, sum(cuts) // 2).astype("<i2").tobytes()
    ratio = (3, 1) if up else (1, 3)
    resampler = Resampler(*ratio)

    pieces, at = [], 0
    for cut in cuts:
        pieces.append(resampler.push(pcm[at : at + cut]))
        at += cut
    whole = np.frombuffer(Resampler(*ratio).push(pcm), dtype="<i2").astype(int)
    got = np.frombuffer(b"".join(pieces), dtype="<i2").astype(int)

    assert len(got) == len(whole) == len(pcm) // 2 * ratio[0] // ratio[1]
    # Another block shape adds floats in another order: one step of the last bit at a rounding tie.
    assert not len(got) or abs(got - whole).max() <= 1


def test_every_push_up_gives_three_times_its_samples():
    up = Resampler(3, 1)

    assert [len(up.push(bytes(size))) for size in (320, 2, 0, 322, 7, 1, 5000)] == [
        960,
        6,
        0,
        966,
        18,
        6,
        15000,
    ]


def test_down_carries_what_is_not_a_whole_third():
    down = Resampler(1, 3)

    assert [len(down.push(bytes(size))) for size in (960, 4, 2, 1, 5, 0, 967)] == [320, 0, 2, 0, 2, 0, 322]


def test_too_loud_is_clipped_and_does_not_wrap():
    square = np.tile(np.repeat([32767, -32768], 8), 200).astype("<i2").tobytes()

    out = np.frombuffer(Resampler(3, 1).push(square), dtype="<i2")

    assert out.max() == 32767
    assert out.min() == -32768
    assert abs(np.diff(out.astype(int))).max() < 40000


@pytest.mark.parametrize(("up", "down"), [(3, 1), (1, 3)])
def test_reset_starts_again_from_silence(up, down):
    resampler = Resampler(up, down)
    resampler.push(b"\x55\x66" * 500 + b"\x01")

    resampler.reset()

    assert not any(resampler.push(bytes(960)))


def test_other_ratios_are_refused():
    with pytest.raises(ValueError, match="6/1"):
        Resampler(6, 1)


# ---- wideband ----------------------------------------------------------------------------------------------------

WIDE = [(16000, 24000), (24000, 16000), (8000, 16000), (16000, 8000)]


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "hz"), [(24000, 16000, hz) for hz in (9000, 9700, 10500, 11500)]
)
def test_what_would_fold_into_the_wide_band_is_60_db_down(from_hz, to_hz, hz):
    pcm = tone(hz, from_hz)
    assert level_db(Resampler(*ratio(from_hz, to_hz)).push(pcm)) < level_db(pcm) - 60


@pytest.mark.parametrize("hz", [4600, 5200, 6000, 7500])
def test_what_would_fold_into_the_telephone_band_when_a_wide_call_is_narrowed_is_60_db_down(hz):
    pcm = tone(hz, 16000)
    assert level_db(Resampler(1, 2).push(pcm)) < level_db(pcm) - 60


@pytest.mark.parametrize(
    ("from_hz", "to_hz", "hz"),
    [(16000, 24000, hz) for hz in (300, 1000, 3400, 5000, 7000)]
    + [(8000, 16000, hz) for hz in (300, 1000, 3000, 3400)],
)
def test_images_are_60_db_down(from_hz, to_hz, hz):
    power, at = spectrum_db(Resampler(*ratio(from_hz, to_hz)).push(tone(hz, from_hz)), to_hz)
    assert 10 * np.log10(power[at > from_hz * 0.56].sum() / power[abs(at - hz) < 20].sum()) < -60


@pytest.mark.parametrize(("from_hz", "to_hz"), WIDE)
def test_the_band_that_both_rates_have_is_flat(from_hz, to_hz):
    top = 3400 if 8000 in {from_hz, to_hz} else 7000
    for hz in (100, 1000, 2500, top):
        pcm = tone(hz, from_hz)
        assert level_db(Resampler(*ratio(from_hz, to_hz)).push(pcm)) == pytest.approx(level_db(pcm), abs=0.1)


@pytest.mark.parametrize(("from_hz", "to_hz"), WIDE)
def test_a_wide_filter_delays_as_it_says_and_at_most_3_ms(from_hz, to_hz):
    resampler = Resampler(*ratio(from_hz, to_hz))
    at = from_hz // 10
    pulse = np.zeros(from_hz // 5)
    pulse[at - 40 : at + 41] = 12000 * np.hanning(81)  # 5 ms at least: well within the band
    got = np.frombuffer(resampler.push(pulse.astype("<i2").tobytes()), "<i2").astype(float)
    centre_s = (got * np.arange(len(got))).sum() / got.sum() / to_hz
    assert (centre_s - at / from_hz) * 1000 == pytest.approx(resampler.delay_ms, abs=0.02)
    assert resampler.delay_ms <= 3


@settings(max_examples=60, deadline=None)
@given(cuts=st.lists(st.integers(0, 2000), max_size=40), rates=st.sampled_from(WIDE), seed=st.integers(0, 9))
def test_how_a_wide_stream_is_cut_changes_neither_samples_nor_length(cuts, rates, seed):
    pcm = np.random.default_rng(seed).integers(-9000, 9000, sum(cuts) // 2).astype("<i2").tobytes()
    up, down = ratio(*rates)
    pieces, at, resampler = [], 0, Resampler(up, down)
    for cut in cuts:
        pieces.append(resampler.push(pcm[at : at + cut]))
        at += cut
    whole = np.frombuffer(Resampler(up, down).push(pcm), dtype="<i2").astype(int)
    got = np.frombuffer(b"".join(pieces), dtype="<i2").astype(int)
    assert len(got) == len(whole) == len(pcm) // 2 // down * up
    assert not len(got) or abs(got - whole).max() <= 1


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 16000), (16000, 8000), (8000, 24000)])
def test_a_whole_piece_is_as_long_as_before_and_where_it_was(from_hz, to_hz):
    was = tone(440, from_hz, 0.5)
    now = np.frombuffer(converted(was, from_hz, to_hz), "<i2").astype(int)
    wanted = np.frombuffer(tone(440, to_hz, 0.5), "<i2").astype(int)
    assert len(now) == len(wanted)
    assert abs(now - wanted)[to_hz // 100 : -to_hz // 100].max() < 900  # 5 % of a sample's way, no more


def test_nothing_to_convert_is_left_alone():
    assert converted(b"", 8000, 16000) == b""
    assert converted(b"ab", 8000, 8000) == b"ab"
