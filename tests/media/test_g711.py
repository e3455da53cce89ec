"""Golden values: ITU-T G.711 tables 1a-2b (decoder outputs, decision values), 5 and 6 (milliwatt)."""

import numpy as np
import pytest

from bridge.media import g711

EVERY_SAMPLE = np.arange(-32768, 32768)
EVERY_CODE = bytes(range(256))
# Tables 5 and 6: the octets of 1 kHz at 0 dBm0.
MILLIWATT = {
    "pcmu": bytes.fromhex("1e0b0b1e9e8b8b9e"),
    "pcma": bytes.fromhex("34212134b4a1a1b4"),
}
ENCODE = {"pcmu": g711.pcmu_encode, "pcma": g711.pcma_encode}
DECODE = {"pcmu": g711.pcmu_decode, "pcma": g711.pcma_decode}


def ulaw_value(code: int) -> int:
    """G.711 table 2a/2b, decoder output in 16 bits."""
    code = ~code & 0xFF
    magnitude = (((code & 15) * 2 + 33) << (code >> 4 & 7)) - 33
    return -4 * magnitude if code & 0x80 else 4 * magnitude


def alaw_value(code: int) -> int:
    """G.711 table 1a/1b, decoder output in 16 bits."""
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 15
    magnitude = 2 * step + 1 if segment == 0 else (2 * step + 33) << (segment - 1)
    return 8 * magnitude if code & 0x80 else -8 * magnitude


VALUE = {"pcmu": ulaw_value, "pcma": alaw_value}


def pcm(*samples):
    return np.array(samples, dtype="<i2").tobytes()


@pytest.mark.parametrize("law", ["pcmu", "pcma"])
def test_every_code_decodes_to_the_value_of_the_standard(law):
    values = np.frombuffer(DECODE[law](EVERY_CODE), dtype="<i2")

    assert values.tolist() == [VALUE[law](code) for code in EVERY_CODE]


def decision_values(first_step, steps):
    """Column "decision value x" of tables 1 and 2: 16 intervals a segment, each segment's twice as wide."""
    return np.cumsum([first_step, *np.repeat(steps, 16)[1:]])


@pytest.mark.parametrize(
    ("law", "x"),
    [
        ("pcmu", 4 * decision_values(1, [2, 4, 8, 16, 32, 64, 128, 256])),
        ("pcma", 8 * decision_values(2, [2, 2, 4, 8, 16, 32, 64, 128])),
    ],
)
def test_every_sample_is_coded_by_the_decision_values_of_the_standard(law, x):
    magnitudes = np.sort([VALUE[law](code) for code in EVERY_CODE])[128:]
    folded = np.where(EVERY_SAMPLE < 0, ~EVERY_SAMPLE, EVERY_SAMPLE)
    expected = magnitudes[np.minimum(np.searchsorted(x, folded, side="right"), 127)]

    payload = ENCODE[law](EVERY_SAMPLE.astype("<i2").tobytes())

    coded = np.frombuffer(DECODE[law](payload), dtype="<i2")
    assert coded.tolist() == np.where(EVERY_SAMPLE < 0, -expected, expected).tolist()


@pytest.mark.parametrize("law", ["pcmu", "pcma"])
def test_decode_then_encode_gives_the_payload_back(law):
    # µ-law has two zeros; the negative one (0x7F) comes back as the positive one.
    expected = EVERY_CODE.replace(b"\x7f", b"\xff") if law == "pcmu" else EVERY_CODE

    assert ENCODE[law](DECODE[law](EVERY_CODE)) == expected


@pytest.mark.parametrize("law", ["pcmu", "pcma"])
def test_positive_and_negative_samples_are_coded_alike(law):
    """G.191: a negative sample is folded by one's complement; only the sign bit of the code differs."""
    positive = np.arange(32768, dtype="<i2")

    codes = np.frombuffer(ENCODE[law](positive.tobytes()), dtype=np.uint8)
    mirrored = np.frombuffer(ENCODE[law]((~positive).tobytes()), dtype=np.uint8)

    assert (codes ^ mirrored == 0x80).all()


@pytest.mark.parametrize(
    ("encode", "expected"),
    [
        (g711.pcmu_encode, "ff ff fe 7f 80 00"),
        (g711.pcma_encode, "d5 d5 d5 55 aa 2a"),
    ],
)
def test_landmarks_of_the_scale(encode, expected):
    assert encode(pcm(0, 3, 4, -1, 32767, -32768)) == bytes.fromhex(expected)


@pytest.mark.parametrize("law", ["pcmu", "pcma"])
def test_the_digital_milliwatt_is_a_1_khz_sine(law):
    sine = -np.sin(2 * np.pi * (np.arange(8) + 0.5) / 8)

    values = np.frombuffer(DECODE[law](MILLIWATT[law]), dtype="<i2")

    amplitude = float(values @ sine) / 4
    # 0 dBm0 is 3.17 dB (µ) or 3.14 dB (A) below the overload point.
    assert amplitude == pytest.approx(32768 * 10 ** (-3.15 / 20), rel=0.03)
    assert np.corrcoef(values, sine)[0, 1] > 0.999
    assert ENCODE[law](values.tobytes()) == MILLIWATT[law]


@pytest.mark.parametrize("law", ["pcmu", "pcma"])
def test_no_audio_gives_no_audio(law):
    assert ENCODE[law](b"") == b""
    assert DECODE[law](b"") == b""


def test_half_a_sample_is_refused():
    with pytest.raises(ValueError, match="buffer size"):
        g711.pcmu_encode(b"\x00\x01\x02")
