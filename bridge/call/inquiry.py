"""One question of an approver, while the agent puts it to the caller: whether it was said, and heard to its end.

    order ─► (the agent's transcript is the question) ─► (played: whole, or cut short) ─► Inquired
       └── not said in time: once more, then Inquired with why

It decides nothing: what the caller answers is read by who asked. Sans-IO; a part of toolcalls.py. `now` is monotonic
seconds.
"""

from dataclasses import dataclass

from bridge.call.spoken import same_words

START_S = 20.0  # the agent may be at an answer, and the caller may be speaking
PLAYS_S = 45.0
MAX_TRIES = 2
MAX_HEARD = 32
PUT_S = MAX_TRIES * START_S + PLAYS_S
"""After so many seconds an inquiry is over in any case."""
NO_CALL = "no agent waits for this request"
GONE = "no agent talks with the caller now"
ONE_AT_A_TIME = "the caller is being asked something else: try again in a moment"
NOT_SAID = "the agent did not say it"
DECIDED = "it was decided before the agent could ask"


@dataclass(frozen=True, slots=True)
class Inquired:
    """What came of it. `why`: it was not asked, for this reason. `interrupted`: the caller spoke into the question."""

    function_call_id: str
    why: str = ""
    interrupted: bool = False


class Inquiry:
    """`text` for the function call `function_call_id` of the tool `name`, ordered at `now`."""

    def __init__(self, function_call_id: str, name: str, text: str, now: float) -> None:
        self.function_call_id = function_call_id
        self.name = name
        self.text = text
        self._tries = 1
        self._item_id = ""
        self._heard: dict[str, bool] = {}
        self.due_s = now + START_S

    @property
    def being_said(self) -> bool:
        """Whether the agent is at it."""
        return bool(self._item_id)

    def agent_said(self, item_id: str, text: str, now: float) -> Inquired | None:
        """The transcript of something that the agent says."""
        if self._item_id or not same_words(text, self.text):
            return None
        self._item_id, self.due_s = item_id, now + PLAYS_S
        return None if item_id not in self._heard else self._over(whole=self._heard[item_id])

    def played(self, item_id: str, *, whole: bool) -> Inquired | None:
        """The caller heard an item. Its transcript may still come."""
        if item_id == self._item_id:
            return self._over(whole=whole)
        if len(self._heard) < MAX_HEARD:
            self._heard[item_id] = whole
        return None

    def say_again(self, now: float) -> None:
        """The session in which it was ordered is gone, and with it what was said there."""
        self._item_id, self.due_s = "", now + START_S

    def late(self, now: float) -> Inquired | None:
        """`due_s` is there. None: it is to be put once more."""
        if self._item_id:  # said, and nobody told that it was played
            return self._over(whole=True)
        if self._tries >= MAX_TRIES:
            return Inquired(self.function_call_id, NOT_SAID)
        self._tries += 1
        self.due_s = now + START_S
        return None

    def _over(self, *, whole: bool) -> Inquired:
        return Inquired(self.function_call_id, interrupted=not whole)
