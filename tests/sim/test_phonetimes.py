"""Times of a call, measured on levels."""

from bridge.sim.phonetimes import Spurt, Times, Turn, join, measure, spurts

LOUD, QUIET = -20.0, -90.0


def levels(*pieces: tuple[int, int], ms: int) -> list[float]:
    """One level per 20 ms, loud from..to of each piece."""
    return [LOUD if any(a <= at < b for a, b in pieces) else QUIET for at in range(0, ms, 20)]


def test_speech_has_edges_and_short_gaps_are_closed() -> None:
    found = spurts(levels((200, 600), (700, 1000), (2000, 2020), (3000, 3100), ms=4000))

    assert found == [Spurt(200, 1000), Spurt(3000, 3100)]


def test_speech_that_goes_on_to_the_end_ends_there() -> None:
    assert spurts(levels((500, 1000), ms=1000)) == [Spurt(500, 1000)]


def test_neighbours_are_joined_over_a_comma() -> None:
    parts = [Spurt(0, 100), Spurt(600, 900), Spurt(2000, 2100)]

    assert join(parts, 500) == [Spurt(0, 900), Spurt(2000, 2100)]


def test_a_call_without_a_sound_is_dead_air() -> None:
    assert measure(levels(ms=3000), levels(ms=3000)) == Times(None, (), 3000, 0, 0)


def test_greeting_answer_and_silence_are_measured() -> None:
    heard = levels((300, 1500), (4000, 5000), ms=6000)
    said = levels((2200, 3200), ms=6000)

    assert measure(said, heard) == Times(300, (Turn(2200, 3200, 800, None),), 800, 2200, 1000)


def test_an_interruption_tells_how_long_the_agent_went_on() -> None:
    heard = levels((0, 3300), (5000, 6000), ms=6000)
    said = levels((3000, 4000), ms=6000)
    times = measure(said, heard)

    assert times.turns == (Turn(3000, 4000, 1000, 300),)
    assert times.dead_air_ms == 1000


def test_an_agent_that_talks_on_over_us_is_not_dead_air() -> None:
    heard = levels((0, 5000), ms=6000)
    said = levels((1000, 1500), ms=6000)
    times = measure(said, heard)

    assert times.turns == (Turn(1000, 1500, None, 4000),)
    assert times.dead_air_ms == 1000


def test_a_question_without_an_answer_is_dead_air_until_the_next_one() -> None:
    said = levels((0, 500), (4000, 4500), ms=5000)
    times = measure(said, levels((4700, 5000), ms=5000))

    assert [turn.response_ms for turn in times.turns] == [None, 200]
    assert times.dead_air_ms == 3500
    assert times.greeting_ms == 4700


def test_two_sides_of_different_length_are_measured_too() -> None:
    assert measure(levels(ms=1000), levels((100, 400), ms=2000)).greeting_ms == 100
