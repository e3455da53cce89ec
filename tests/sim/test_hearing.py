"""The input audio buffer: offsets, bounds, tickets."""

import pytest

from bridge.sim.hearing import MAX_TURN_MS, Hearing
from bridge.sim.protocol import Refusal

MS = 8
"""Bytes of a millisecond of PCMU."""


def test_idle_audio_is_bounded_but_its_offset_goes_on():
    hearing = Hearing("audio/pcmu")
    hearing.append(b"\0" * 20_000 * MS)
    assert (hearing.appended_ms, hearing.buffered_ms) == (20_000, 6_000)


def test_a_turn_is_bounded_too():
    hearing = Hearing("audio/pcmu")
    hearing.start("item", 0, 0)
    hearing.append(b"\0" * (MAX_TURN_MS + 5_000) * MS)
    assert hearing.buffered_ms == MAX_TURN_MS


def test_manual_mode_keeps_what_the_client_will_commit():
    hearing = Hearing("audio/pcmu", manual=True)
    hearing.append(b"\0" * 20_000 * MS)
    assert hearing.buffered_ms == 20_000


def test_a_turn_begins_at_its_padding():
    hearing = Hearing("audio/pcmu")
    hearing.append(b"\0" * 1_000 * MS)
    assert hearing.start("item", 900, 300) == 600
    assert hearing.buffered_ms == 400


def test_the_padding_cannot_reach_before_the_first_sample():
    hearing = Hearing("audio/pcmu")
    hearing.append(b"\0" * 200 * MS)
    assert hearing.start("item", 100, 300) == 0


def test_times_of_restarted_ears_become_offsets_of_all_audio():
    hearing = Hearing("audio/pcmu")
    hearing.append(b"\0" * 1_000 * MS)
    hearing.attended()
    assert hearing.at(64) == 1064


def test_a_ticket_holds_until_speech_goes_on():
    hearing = Hearing("audio/pcmu")
    ticket = hearing.ticket()
    assert hearing.early_ticket() == ticket
    hearing.resumed()
    assert hearing.early_ticket() is None
    assert hearing.ticket() == ticket + 1


def test_taking_the_audio_empties_the_buffer():
    hearing = Hearing("audio/pcmu")
    hearing.append(b"abcdefgh")
    assert hearing.audio() == b"abcdefgh"
    assert hearing.take() == b"abcdefgh"
    assert hearing.buffered_ms == 0


def test_another_format_drops_the_audio_of_the_old_one():
    hearing = Hearing("audio/pcmu")
    hearing.append(b"\0" * 800)
    hearing.change_format("audio/pcmu")
    assert hearing.buffered_ms == 100
    hearing.change_format("audio/pcm")
    assert hearing.buffered_ms == 0
    hearing.append(b"\0" * 4800)
    assert (hearing.buffered_ms, hearing.appended_ms) == (100, 200)


def test_an_append_is_base64_of_whole_samples():
    assert Hearing("audio/pcmu").decode("QQ==") == b"A"
    for audio_format, audio in (("audio/pcmu", "%"), ("audio/pcm", "QQ==")):
        with pytest.raises(Refusal) as refused:
            Hearing(audio_format).decode(audio)
        assert refused.value.param == "audio"


def test_a_commit_needs_a_tenth_of_a_second():
    hearing = Hearing("audio/pcmu")
    hearing.append(bytes(99 * MS))
    with pytest.raises(Refusal, match=r"only has 99\.00ms"):
        hearing.check_commit()
    hearing.append(bytes(MS))
    hearing.check_commit()
