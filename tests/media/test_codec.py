import numpy as np
import pytest

from bridge.media.codec import ModelAudio
from bridge.media.frame import FRAME_BYTES

TONE = (9000 * np.sin(2 * np.pi * np.arange(160) / 16)).astype("<i2").tobytes()


@pytest.mark.parametrize(("name", "size", "per_ms"), [("pcm24", 960, 48), ("pcmu", 160, 8), ("pcma", 160, 8)])
def test_a_frame_becomes_20_ms_of_the_models_format_and_comes_back(name, size, per_ms):
    audio = ModelAudio(name)

    payload = audio.encode(TONE)

    assert (len(payload), audio.bytes_per_ms) == (size, per_ms)
    assert len(audio.decode(payload)) == FRAME_BYTES
    assert audio.format == name


@pytest.mark.parametrize(("name", "size"), [("pcm24", 960), ("pcmu", 160), ("pcma", 160)])
def test_a_wideband_frame_becomes_20_ms_of_the_models_format_and_comes_back(name, size):
    audio = ModelAudio(name, 16000)
    wide = (9000 * np.sin(2 * np.pi * np.arange(3200) / 32)).astype("<i2").tobytes()  # 500 Hz, 200 ms
    frames = [audio.encode(wide[at : at + 640]) for at in range(0, len(wide), 640)]
    assert {len(payload) for payload in frames} == {size}
    back = b"".join(map(audio.decode, frames))
    assert len(back) == len(wide)
    late = round(2 * audio.delay_ms * 16)
    was, now = np.frombuffer(wide, "<i2"), np.frombuffer(back, "<i2")
    assert np.corrcoef(was[: len(was) - late], now[late:])[0, 1] > 0.99
    assert 0 < audio.delay_ms <= 3
    audio.reset_downlink()
    assert not any(
        audio.decode({"pcm24": bytes(960), "pcmu": b"\xff" * 160, "pcma": b"\xd5" * 160}[name])[16:]
    ) or (
        name == "pcma"  # the smallest A-law step is not zero
    )


@pytest.mark.parametrize("name", ["pcmu", "pcma"])
def test_g711_passes_without_delay(name):
    audio = ModelAudio(name)

    back = np.frombuffer(audio.decode(audio.encode(TONE)), dtype="<i2")

    assert audio.delay_ms == 0
    assert np.corrcoef(back, np.frombuffer(TONE, "<i2"))[0, 1] > 0.999
    audio.reset_downlink()


def test_pcm_delay_is_known():
    assert 0 < ModelAudio("pcm24").delay_ms <= 3


def test_reset_of_the_downlink_forgets_its_tail_and_leaves_the_uplink_alone():
    cut, whole = ModelAudio("pcm24"), ModelAudio("pcm24")
    payload = cut.encode(TONE)
    assert payload == whole.encode(TONE)
    cut.decode(payload + b"\x01")

    cut.reset_downlink()

    assert not any(cut.decode(bytes(960)))
    assert cut.encode(TONE) == whole.encode(TONE)


def test_a_payload_torn_in_the_middle_of_a_sample_is_put_together():
    torn, whole = ModelAudio("pcm24"), ModelAudio("pcm24")
    payload = whole.encode(TONE)

    pieces = [torn.decode(payload[:301]), torn.decode(payload[301:])]

    assert b"".join(pieces) == whole.decode(payload)
