from hypothesis import given
from hypothesis import strategies as st

from bridge.sip.pace import MAX_CALLS, REST_S, Pace


def test_a_burst_is_admitted_up_to_the_bound_and_again_after_the_rest():
    pace = Pace(max_calls=3, window_s=0.6)
    assert [pace.admit(10.0 + n / 100) for n in range(5)] == [True, True, True, False, False]
    assert not pace.admit(10.59)
    assert pace.admit(10.61)
    assert [pace.admit(10.62 + n / 1000) for n in range(3)] == [True, True, False]


def test_the_bound_leaves_pjmedia_handles_to_spare():
    assert (MAX_CALLS + 4) * 2 <= 64
    assert REST_S > 0.5


@given(st.lists(st.floats(0, 0.3), max_size=100), st.integers(1, 10))
def test_no_window_ever_holds_more(pauses, max_calls):
    pace, now, admitted = Pace(max_calls, 0.6), 0.0, []
    for pause_s in pauses:
        now += pause_s
        if pace.admit(now):
            admitted.append(now)
    assert all(sum(at <= other < at + 0.6 for other in admitted) <= max_calls for at in admitted)
