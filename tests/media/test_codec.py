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
