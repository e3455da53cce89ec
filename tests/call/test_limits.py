from bridge.call.limits import CallLimits
from bridge.config import LimitsConfig

LIMITS = LimitsConfig(max_call_s=600, rtp_timeout_s=20, hold_max_s=300)


def reason(ending):
    return ending.reason if ending is not None else None


def test_a_lively_call_goes_on():
    limits = CallLimits(LIMITS, 100.0)
    assert limits.check(695.0, 699.9) is None


def test_a_call_ends_at_its_longest_duration():
    ending = CallLimits(LIMITS, 100.0).check(700.0, 700.0)
    assert ending is not None
    assert (ending.status, ending.reason) == (200, "max_duration")
    assert "600 s" in ending.detail


def test_an_agent_can_only_shorten_the_call():
    limits = CallLimits(LIMITS, 0.0)
    limits.shorten(900)
    limits.shorten(60)
    limits.shorten(120)
    assert limits.check(59.0, 59.9) is None
    assert reason(limits.check(60.0, 60.0)) == "max_duration"


def test_a_peer_that_sends_no_rtp_is_a_ghost():
    limits = CallLimits(LIMITS, 100.0)
    assert limits.check(130.0, 149.9) is None
    ending = limits.check(130.0, 150.0)
    assert ending is not None
    assert (ending.status, ending.reason) == (408, "rtp_timeout")


def test_silence_counts_from_the_answer_at_the_earliest():
    limits = CallLimits(LIMITS, 100.0)
    assert limits.check(0.0, 119.9) is None
    assert reason(limits.check(0.0, 120.0)) == "rtp_timeout"


def test_on_hold_silence_is_no_ghost_but_hold_itself_has_an_end():
    limits = CallLimits(LIMITS, 0.0)
    limits.held(True, 10.0)
    assert limits.check(10.0, 309.9) is None
    assert reason(limits.check(10.0, 310.0)) == "hold_timeout"


def test_after_hold_the_peer_has_its_time_again():
    limits = CallLimits(LIMITS, 0.0)
    limits.held(True, 10.0)
    limits.held(False, 200.0)
    assert limits.check(200.0, 219.9) is None
    assert reason(limits.check(200.0, 220.0)) == "rtp_timeout"


def test_the_longest_duration_counts_on_hold_too():
    limits = CallLimits(LimitsConfig(max_call_s=60, hold_max_s=900), 0.0)
    limits.held(True, 1.0)
    assert reason(limits.check(1.0, 60.0)) == "max_duration"


def test_a_peer_that_only_listens_is_no_ghost():
    limits = CallLimits(LimitsConfig(rtp_timeout_s=20), 0.0)
    assert limits.check(None, 3000.0) is None
    assert limits.check(0.0, 3000.0).reason == "rtp_timeout"
