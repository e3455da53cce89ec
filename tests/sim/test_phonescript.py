"""The phone's script machine: when it speaks, presses, interrupts and gives up."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sim.phonescript import (
    AfterAgent,
    At,
    DuringAgent,
    Ear,
    HangUp,
    Order,
    Outcome,
    PhoneScript,
    Press,
    Say,
    SendKeys,
    Speak,
    Step,
    UntilHungUp,
    Wait,
)

LOUD, QUIET = -20.0, -90.0
FRAME_S = 0.02


class Line:
    """A call on a fake clock: feeds the agent's level frame by frame, keeps what the script ordered and when."""

    def __init__(self, *steps: Step, patience_ms: int = 5000) -> None:
        self.script = PhoneScript(steps, patience_ms)
        self.now = 100.0
        self.orders: list[tuple[int, Order]] = []

    def answer(self) -> "Line":
        self._keep(self.script.answered(self.now))
        return self

    def hear(self, level: float, ms: int) -> "Line":
        for _ in range(ms // 20):
            self.now += FRAME_S
            self._keep(self.script.frame(level, self.now))
        return self

    def _keep(self, orders: list[Order]) -> None:
        self.orders += [(round((self.now - 100) * 1000), order) for order in orders]

    def whats(self) -> list[Order]:
        return [order for _, order in self.orders]

    def when(self, order: Order) -> object:
        """Equal to any number within two frames: every step begins with one."""
        return pytest.approx(next(at_ms for at_ms, other in self.orders if other == order), abs=41)


def test_it_speaks_at_once_when_nothing_else_is_asked() -> None:
    line = Line(Say(0, 1000)).answer()

    assert line.orders == [(0, Speak(0))]
    assert line.script.outcome is Outcome.RUNNING


def test_it_hangs_up_after_its_last_word() -> None:
    line = Line(Say(0, 1000), Say(1, 500)).answer().hear(QUIET, 2000)

    assert line.whats() == [Speak(0), Speak(1), HangUp()]
    assert [line.when(order) for order in line.whats()] == [0, 1000, 1500]
    assert line.script.outcome is Outcome.DONE
    assert line.script.position == 2


def test_nothing_happens_before_the_answer() -> None:
    line = Line(Say(0, 100)).hear(LOUD, 1000)

    assert line.orders == []
    assert line.script.outcome is Outcome.RUNNING


def test_keys_take_their_time() -> None:
    line = Line(Press("12#"), Say(0, 100)).answer().hear(QUIET, 1500)

    assert line.when(SendKeys("12#")) == 0
    assert line.when(Speak(0)) == 900


def test_a_wait_and_a_moment_of_the_call_are_kept() -> None:
    line = Line(Wait(300), Say(0, 100), At(2000), Say(1, 100), At(50), Say(2, 100)).answer().hear(QUIET, 3000)

    assert [line.when(Speak(number)) for number in range(3)] == [300, 2000, 2100]


def test_after_the_agent_means_after_a_pause_longer_than_between_sentences() -> None:
    line = Line(AfterAgent(quiet_ms=700), Say(0, 100)).answer()
    line.hear(QUIET, 200).hear(LOUD, 1000).hear(QUIET, 500).hear(LOUD, 1000).hear(QUIET, 1000)

    assert line.when(Speak(0)) == 200 + 1000 + 500 + 1000 + 700


def test_a_click_is_not_speech() -> None:
    line = Line(AfterAgent(), Say(0, 100)).answer()
    line.hear(LOUD, 20).hear(QUIET, 3000)

    assert line.whats() == []


def test_an_agent_that_speaks_in_the_moment_of_the_answer_is_heard() -> None:
    line = Line(AfterAgent(quiet_ms=200), Say(0, 100)).answer().hear(LOUD, 600).hear(QUIET, 400)

    assert line.when(Speak(0)) == 800


def test_the_agents_words_before_ours_do_not_count_as_its_answer() -> None:
    line = Line(Say(0, 500), AfterAgent(quiet_ms=300), Say(1, 100)).answer()
    line.hear(LOUD, 800).hear(QUIET, 1000)

    assert Speak(1) not in line.whats()

    line.hear(LOUD, 400).hear(QUIET, 1000)

    assert line.when(Speak(1)) == 800 + 1000 + 400 + 300


def test_it_interrupts_so_long_after_the_agent_began() -> None:
    line = Line(DuringAgent(2000), Say(0, 100)).answer()
    line.hear(QUIET, 400).hear(LOUD, 1500).hear(QUIET, 300).hear(LOUD, 1000)

    assert line.when(Speak(0)) == 2400


def test_it_does_not_interrupt_an_agent_that_has_fallen_silent() -> None:
    line = Line(DuringAgent(2000), Say(0, 100)).answer().hear(LOUD, 1000).hear(QUIET, 3000)

    assert line.whats() == []


def test_after_a_key_the_agents_next_words_are_the_answer() -> None:
    line = Line(Press("5"), AfterAgent(quiet_ms=200), Say(0, 100)).answer()
    line.hear(QUIET, 500).hear(LOUD, 500).hear(QUIET, 500)

    assert line.when(Speak(0)) == 1200


@pytest.mark.parametrize("step", [AfterAgent(), DuringAgent(100)])
def test_it_gives_up_on_an_agent_that_says_nothing(step: Step) -> None:
    line = Line(step, patience_ms=3000).answer().hear(QUIET, 4000)

    assert line.whats() == [HangUp()]
    assert line.when(HangUp()) == 3000
    assert line.script.outcome is Outcome.FAILED
    assert line.script.problem == "no word from the agent for 3 s, 0 of 1 steps were done"


def test_a_talkative_agent_is_listened_to_for_as_long_as_it_takes() -> None:
    line = Line(AfterAgent(), patience_ms=1000).answer().hear(LOUD, 30_000)

    assert line.script.outcome is Outcome.RUNNING


def test_it_gives_up_on_a_hang_up_that_does_not_come() -> None:
    line = Line(UntilHungUp(), patience_ms=1000).answer().hear(QUIET, 2000)

    assert line.script.problem == "no hang-up for 1 s, 0 of 1 steps were done"


def test_a_hang_up_is_fine_where_it_was_waited_for() -> None:
    line = Line(Say(0, 100), UntilHungUp()).answer().hear(QUIET, 500)
    line.script.hung_up(line.now)

    assert line.script.outcome is Outcome.DONE


def test_a_hang_up_after_the_agents_last_words_is_fine() -> None:
    line = Line(AfterAgent()).answer().hear(LOUD, 500)
    line.script.hung_up(line.now)

    assert line.script.outcome is Outcome.DONE


def test_a_hang_up_without_a_word_is_a_failure() -> None:
    line = Line(AfterAgent()).answer().hear(QUIET, 500)
    line.script.hung_up(line.now)

    assert line.script.problem == "the other side hung up after 0.5 s, 0 of 1 steps were done"


def test_a_hang_up_in_the_middle_is_a_failure() -> None:
    line = Line(Say(0, 100), Say(1, 100)).answer().hear(LOUD, 60)
    line.script.hung_up(line.now)

    assert line.script.outcome is Outcome.FAILED
    assert "0 of 2 steps" in line.script.problem


def test_a_refused_call_is_a_failure() -> None:
    line = Line(UntilHungUp())
    line.script.hung_up(line.now)

    assert line.script.problem == "the call was not answered"


def test_our_own_hang_up_changes_nothing_any_more() -> None:
    line = Line(Say(0, 100)).answer().hear(QUIET, 200)
    line.script.hung_up(line.now)
    line.script.stop("too long")

    assert line.script.outcome is Outcome.DONE
    assert line.script.problem == ""


def test_a_call_that_has_to_end_early_says_why() -> None:
    line = Line(Wait(9000)).answer().hear(QUIET, 200)
    line.script.stop("still not over after 1 s")

    assert line.script.problem == "still not over after 1 s, 0 of 1 steps were done"
    assert line.hear(QUIET, 200).orders == []


def test_the_ear_tells_the_edges_of_the_loud_part() -> None:
    ear = Ear()
    for number in range(1, 101):
        ear.hear(LOUD if 10 < number <= 50 else QUIET, number * FRAME_S)

    assert not ear.speaking
    assert (round(ear.began_s, 3), round(ear.ended_s, 3)) == (0.2, 1.0)


STEPS = st.one_of(
    st.builds(Say, st.integers(0, 3), st.integers(0, 800)),
    st.builds(Press, st.text("0123456789*#", min_size=1, max_size=3)),
    st.builds(Wait, st.integers(0, 500)),
    st.builds(At, st.integers(0, 3000)),
    st.builds(AfterAgent, st.integers(0, 700)),
    st.builds(DuringAgent, st.integers(0, 700)),
    st.just(UntilHungUp()),
)


@given(st.lists(STEPS, max_size=6), st.lists(st.tuples(st.booleans(), st.integers(1, 60)), max_size=12))
def test_whatever_the_agent_does_the_script_ends_once_and_in_order(
    steps: list[Step], talk: list[tuple[bool, int]]
) -> None:
    line = Line(*steps, patience_ms=2000).answer()
    for loud, frames in talk:
        line.hear(LOUD if loud else QUIET, frames * 20)
    line.hear(QUIET, 20 * 2000)

    wanted = [
        Speak(s.index) if isinstance(s, Say) else SendKeys(s.keys)
        for s in steps
        if isinstance(s, Say | Press)
    ]
    done = line.whats()
    assert done.count(HangUp()) == 1
    assert done[-1] == HangUp()
    assert done[:-1] == wanted[: len(done) - 1]
    assert (line.script.outcome is Outcome.DONE) == (line.script.position == len(steps))
