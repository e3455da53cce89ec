"""What an agent may use up on one call: time, money, tokens, tool calls, its patience with a silent caller. A machine.

    talking ──warn_s before the end──► warned ──a few seconds before the end, or money or tokens are gone──►
    closing ──the goodbye was heard, or GOODBYE_S──► over
    talking ──nobody said a word for idle_s──► asked ──the same again──► closing; a word of the caller's: talking

Asked about twice a second. The hard end of `max_call_s` is CallLimits' (limits.py): here the agent is told in time, so
that the caller hears a goodbye and not a click. Money, tokens and tool calls count over the whole call, whichever agent
used them; the limit is that of the agent who talks. A response without a price costs nothing here: set `max_tokens` for
models without one.
"""

from dataclasses import dataclass
from decimal import Decimal

from bridge.call.limits import Ending
from bridge.dialplan.agent import Agent

GOODBYE_S = 10.0  # for the last sentence; then the call ends all the same
GOODBYE_BEFORE_S = 8.0  # before the last second of `max_call_s`
CALLER_SILENT = "caller_silent"
SILENT_S = 0.7  # the goodbye has been heard
WARN = (
    "This call ends in about {seconds} seconds. Tell the caller so in one short sentence, in the language of the "
    "conversation, and come to an end."
)
GOODBYE = (
    "The call ends now. Say goodbye to the caller in one short sentence, in the language of the conversation, and "
    "nothing else."
)
STILL_THERE = (
    "The caller has said nothing for {seconds} seconds. Ask in one short sentence, in the language of the "
    "conversation, whether they are still there."
)
NO_MORE_CALLS = "No more functions can be called on this call. Tell the caller so, and help without them."


@dataclass(frozen=True, slots=True)
class Say:
    """Have the agent say something; `order`: for the model. `why`, for the record: `warning`, `silence`, `goodbye`."""

    order: str
    why: str


class AgentLimits:
    """What was used on one call so far. All times monotonic seconds."""

    def __init__(self) -> None:
        self.cost_usd = 0.0
        self.tokens = 0
        self.tool_calls = 0
        self._agent: Agent | None = None
        self._answered_s: float | None = None
        self._warned = False
        self._ending: Ending | None = None
        self._goodbye_s = 0.0
        self._spoke = False
        self._silent_since_s: float | None = None
        self._quiet_since_s: float | None = None
        self._asked = False

    def begin(self, agent: Agent, answered_s: float) -> None:
        """The agent talks with the caller from now on."""
        self._agent, self._answered_s = agent, answered_s
        self._quiet_since_s, self._asked = None, False

    def spent(self, cost_usd: Decimal | None, tokens: int = 0) -> None:
        """A response, or a transcription, has ended."""
        self.cost_usd += float(cost_usd or 0)
        self.tokens += tokens

    def spoke(self) -> None:
        """There is audio of the agent: after the order to say goodbye, that is it."""
        self._spoke = self._ending is not None

    def caller_heard(self) -> None:
        """The caller speaks, or pressed a key: they are there, and a call that was to end for their silence goes on."""
        self._quiet_since_s, self._asked = None, False
        if self._ending is not None and self._ending.reason == CALLER_SILENT:
            self._ending = None

    def tool_called(self) -> bool:
        """Whether one more function call may be carried out; it is counted then."""
        most = self._agent.max_tool_calls if self._agent else None
        if self._ending is not None or (most is not None and self.tool_calls >= most):
            return False
        self.tool_calls += 1
        return True

    def check(self, now: float, *, silent: bool, waits: bool = False) -> Say | Ending | None:
        """What is to be done at `now`, if anything. `silent`: nothing of the agent is heard or to come.

        `waits`: the caller has reason to say nothing, a function that runs or a hold of theirs.
        """
        if self._ending is not None:
            return self._closing(now, silent=silent)
        agent, answered_s = self._agent, self._answered_s
        if agent is None or answered_s is None:
            return None
        quiet = self._quiet_too_long(agent, now, quiet=silent and not waits)
        used_up = self._used_up(agent, answered_s, now)
        if used_up is None and quiet and self._asked:
            used_up = Ending(200, CALLER_SILENT, f"the caller said nothing for twice {agent.idle_s} s")
        if used_up is not None:
            self._ending, self._goodbye_s = used_up, now
            return Say(GOODBYE, "goodbye")
        if quiet:
            self._asked = True
            return Say(STILL_THERE.format(seconds=agent.idle_s), "silence")
        return self._warning(agent, answered_s, now)

    def _warning(self, agent: Agent, answered_s: float, now: float) -> Say | None:
        warn_s = agent.warn_s
        if agent.max_call_s is None or self._warned or not warn_s or agent.max_call_s < 2 * warn_s:
            return None
        if now - answered_s >= agent.max_call_s - warn_s:
            self._warned = True
            return Say(WARN.format(seconds=warn_s), "warning")
        return None

    def _quiet_too_long(self, agent: Agent, now: float, *, quiet: bool) -> bool:
        if agent.idle_s is None or not quiet:
            self._quiet_since_s = None
            return False
        if self._quiet_since_s is None:
            self._quiet_since_s = now
        if now - self._quiet_since_s < agent.idle_s:
            return False
        self._quiet_since_s = None
        return True

    def _used_up(self, agent: Agent, answered_s: float, now: float) -> Ending | None:
        if agent.max_cost_usd is not None and self.cost_usd >= agent.max_cost_usd:
            return Ending(
                200, "max_cost", f"the call has cost ${self.cost_usd:.4f} of ${agent.max_cost_usd:g}"
            )
        if agent.max_tokens is not None and self.tokens >= agent.max_tokens:
            return Ending(200, "max_tokens", f"the call has used {self.tokens} of {agent.max_tokens} tokens")
        if agent.max_call_s is not None and now - answered_s >= agent.max_call_s - GOODBYE_BEFORE_S:
            return Ending(200, "max_duration", f"the call reached its limit of {agent.max_call_s} s")
        return None

    def _closing(self, now: float, *, silent: bool) -> Ending | None:
        if silent:
            self._silent_since_s = now if self._silent_since_s is None else self._silent_since_s
        else:
            self._silent_since_s = None
        said = self._spoke and self._silent_since_s is not None and now - self._silent_since_s >= SILENT_S
        return self._ending if said or now - self._goodbye_s >= GOODBYE_S else None
