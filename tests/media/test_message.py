import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.media import tones
from bridge.media.frame import FRAME_BYTES, SILENCE, duration_ms, rms_dbfs
from bridge.media.message import EDGE_MS, Done, MessageRecorder, MessageRules
from tests.fakes.lines import frames, samples, silence, speech, with_noise

TEXT = "hello this is michael please call me back about my order thank you"
RULES = MessageRules(silence_s=2.0, max_s=20.0, min_s=1.0)


def recorded(line, rules=RULES):
    """(frames taken, why it ended, the recorder)."""
    recorder = MessageRecorder(rules)
    for number, frame in enumerate(line, 1):
        done = recorder.feed(frame, number * 0.02)
        if done:
            return number, done, recorder
    return len(line), None, recorder


@pytest.mark.parametrize("noise_dbfs", [-70, -50, -40])
def test_silence_ends_it_and_is_not_kept(noise_dbfs):
    words = speech(TEXT)
    line = frames(with_noise(np.concatenate([silence(1500), words, silence(5000)]), noise_dbfs))
    taken, done, recorder = recorded(line)
    assert done is Done.SILENCE
    assert taken * 20 == pytest.approx(1500 + len(words) / 8 + 2000, abs=250)
    assert duration_ms(recorder.finish()) == pytest.approx(len(words) / 8 + 2 * EDGE_MS, abs=250)


def test_the_longest_message_ends_by_itself():
    line = frames(*[speech(TEXT)] * 6)
    taken, done, recorder = recorded(line, MessageRules(silence_s=2, max_s=5, min_s=1))
    assert (taken, done) == (250, Done.MAX)
    assert 4600 <= duration_ms(recorder.finish()) <= 5000


def test_it_ends_by_the_clock_when_no_packets_come():
    recorder = MessageRecorder(RULES)
    assert recorder.feed(SILENCE, 100.0) is None
    assert recorder.feed(SILENCE, 119.9) is None
    assert recorder.feed(SILENCE, 120.0) is Done.MAX
    assert recorder.feed(SILENCE, 121.0) is Done.MAX
    assert recorder.finish() is None


@pytest.mark.parametrize("shift_ms", range(0, 20, 3))
def test_the_finish_key_is_not_in_the_message(shift_ms):
    words = speech(TEXT)
    key = samples(tones.dtmf("#", 200, 0))
    _, done, recorder = recorded(frames(words, silence(60 + shift_ms), key))
    assert done is None
    kept = recorder.finish()
    assert duration_ms(kept) <= len(words) / 8 + 80
    assert rms_dbfs(kept[-320:]) < -40


def test_a_key_in_the_middle_does_not_cut_it():
    words = speech(TEXT)
    _, _, recorder = recorded(frames(words, samples(tones.dtmf("5", 100, 50)), words))
    assert duration_ms(recorder.finish()) >= 2 * len(words) / 8


@pytest.mark.parametrize(
    "line",
    [
        [],
        frames(with_noise(silence(1500), -50)),
        frames(silence(300), speech("um"), silence(1000)),
        frames(samples(tones.busy(4000))),
    ],
    ids=["nothing", "noise", "a grunt", "who hung up behind a PBX"],
)
def test_what_is_no_message_is_none(line):
    assert recorded(line)[2].finish() is None


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["quiet", "word", "key"]), st.integers(1, 80)), max_size=20),
    st.floats(0.2, 4), st.floats(0.2, 6), st.floats(0, 2),
)  # fmt: skip
def test_whatever_comes_it_is_bounded_and_whole(parts, silence_s, max_s, min_s):
    pieces = {
        "quiet": [SILENCE],
        "word": frames(speech("thank you")),
        "key": frames(samples(tones.dtmf("1", 100, 0))),
    }
    line = [pieces[kind][at % len(pieces[kind])] for kind, count in parts for at in range(count)]
    taken, done, recorder = recorded(line, MessageRules(silence_s, max_s, min_s))
    kept = recorder.finish()
    assert taken * 20 <= max_s * 1000 + 20
    assert done or taken == len(line)
    assert recorder.seconds == pytest.approx(taken * 0.02)
    if kept is not None:
        assert len(kept) % FRAME_BYTES == 0
        assert min_s * 1000 - 1 <= duration_ms(kept) <= taken * 20
        assert kept in b"".join(line)
