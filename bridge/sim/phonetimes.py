"""How fast an agent answered and how fast it fell silent: measured on the audio of both sides of a call.

    said   ──████──────────████──────     levels of what the phone said and heard, one value per 20 ms,
    heard  ████────███████████░──███      aligned: both were on the line at the same moment
                   ↔ response   ↔ stop

Pure. The phone feeds it the levels it recorded; tests and the bench may read a stereo recording instead. Every time is
exact to one frame (20 ms), and the alignment of the two sides to about two.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bridge.media.frame import FRAME_MS
from bridge.sim.phonescript import Ear

SAME_TURN_MS = 600
"""Two pieces of our own speech with a shorter gap between them are one turn (a comma, a full stop)."""


@dataclass(frozen=True, slots=True)
class Spurt:
    """Somebody spoke from `from_ms` to `to_ms` after the answer."""

    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Turn:
    """One of our utterances and what the agent did about it.

    `response_ms`: from our last sound to the agent's first one; None when the agent said nothing before our next turn
    or the end. `stop_ms`: when we interrupted the agent, from our first sound to its last one.
    """

    said_from_ms: int
    said_to_ms: int
    response_ms: int | None
    stop_ms: int | None


@dataclass(frozen=True, slots=True)
class Times:
    """What the audio of a call tells. `greeting_ms`: from the answer to the agent's first sound.

    `dead_air_ms`: the longest wait for the agent, after the answer or after one of our utterances.
    """

    greeting_ms: int | None
    turns: tuple[Turn, ...]
    dead_air_ms: int
    agent_speech_ms: int
    own_speech_ms: int


def measure(said_dbfs: Sequence[float], heard_dbfs: Sequence[float]) -> Times:
    """Times of a call from the levels of both sides, one value per 20 ms, from the answer on."""
    end_ms = max(len(said_dbfs), len(heard_dbfs)) * FRAME_MS
    said, heard = join(spurts(said_dbfs), SAME_TURN_MS), spurts(heard_dbfs)
    turns: list[Turn] = []
    waits = [min((spurt.from_ms for spurt in [*heard, *said]), default=end_ms)]
    for number, own in enumerate(said):
        until_ms = said[number + 1].from_ms if number + 1 < len(said) else end_ms
        answer = next((s.from_ms for s in heard if own.to_ms <= s.from_ms < until_ms), None)
        cut = next((s.to_ms for s in heard if s.from_ms < own.from_ms < s.to_ms), None)
        still_ms = max((s.to_ms for s in heard if s.from_ms < own.to_ms), default=0)
        waits.append((until_ms if answer is None else answer) - max(own.to_ms, min(still_ms, until_ms)))
        turns.append(
            Turn(
                own.from_ms,
                own.to_ms,
                None if answer is None else answer - own.to_ms,
                None if cut is None else cut - own.from_ms,
            )
        )
    greeting = min((spurt.from_ms for spurt in heard), default=None)
    return Times(greeting, tuple(turns), max(waits), _total(heard), _total(said))


def spurts(levels_dbfs: Sequence[float]) -> list[Spurt]:
    """Where there is speech in a row of levels, one per 20 ms. Gaps up to the ear's hangover are closed."""
    ear, found = Ear(), list[Spurt]()
    for number, level in enumerate([*levels_dbfs, -120.0], start=1):
        was_speaking = ear.speaking
        ear.hear(level, number * FRAME_MS / 1000)
        last = number == len(levels_dbfs) + 1
        if was_speaking and (last or not ear.speaking):
            found.append(Spurt(round(ear.began_s * 1000), round(ear.ended_s * 1000)))
    return found


def join(parts: Sequence[Spurt], gap_ms: int) -> list[Spurt]:
    """The spurts with every gap up to `gap_ms` closed."""
    joined: list[Spurt] = []
    for part in parts:
        if joined and part.from_ms - joined[-1].to_ms <= gap_ms:
            part = Spurt(joined.pop().from_ms, part.to_ms)  # noqa: PLW2901  # the joined one takes its place
        joined.append(part)
    return joined


def _total(parts: Sequence[Spurt]) -> int:
    return sum(part.to_ms - part.from_ms for part in parts)
