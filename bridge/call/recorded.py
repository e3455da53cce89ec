"""Whether this call is recorded, and since when: the rules of route and agent, the caller's consent, the file.

A shell: consent.py judges, recording.py owns the file. On the worker's loop.
"""

from collections.abc import Mapping
from typing import Any

from bridge.call.consent import Consent, covers, must_ask, obtain, rule_of
from bridge.call.context import CallContext, NotDoneError
from bridge.call.limits import Ending
from bridge.call.recording import CallRecording
from bridge.dialplan.agent import Agent
from bridge.dialplan.recording import RecordingRule
from bridge.dialplan.steps import SayStep

REPLACED = "replaced"  # who wants the pause


class Recorded:
    """`rule`: the route's own, set when the call is routed."""

    def __init__(self, context: CallContext, recording: CallRecording) -> None:
        self._context = context
        self._recording = recording
        self._consent: Consent | None = None
        self._callers = 1
        self.rule: RecordingRule | None = None

    async def prepare(self, agent: Agent) -> None:
        """Before an agent: tell or ask the caller, if the rule says so."""
        await self._ask(rule_of(self.rule, agent))

    async def prepare_people(self) -> None:
        """Before the caller talks with people: the same, by the route's own rule."""
        await self._ask(self._people)

    def people(self) -> None:
        """Caller and people are connected: it is recorded if the route says so, and the caller agreed."""
        if covers(self._consent, self._people):
            self._recording.begin()
            self._recording.resume("agent")

    @property
    def _people(self) -> RecordingRule | None:
        """Without a rule of its own a route records agents only: people did not ask for it."""
        return self.rule if self.rule is not None and self.rule.enabled else None

    async def _ask(self, rule: RecordingRule | None) -> None:
        if rule is None or self._consent is not None or not self._recording.enabled or not must_ask(rule):
            return
        context = self._context
        callers = 0
        while callers != self._callers:  # who was not there from the beginning has not been told
            callers = self._callers
            consent = self._consent = await obtain(rule, self._announce, context.caller.keys)
        facts = {"how": consent.how, "recorded": consent.recorded, "text": rule.announce}
        context.journal.note("recording.consent", **facts)
        if consent.hang_up:
            await context.end(Ending(200, "no_consent", "the caller did not agree to the recording"))
        if consent.recorded:
            self._recording.begin()

    def heard(self, agent: Agent) -> None:
        """The agent's first word is there: from here on it is recorded, or not."""
        if covers(self._consent, rule_of(self.rule, agent)):
            self._recording.begin()
            self._recording.resume("agent")
            self._recording.resume(REPLACED)
        elif self._recording.running:
            self._recording.pause("agent", hide=False)

    def caller_changed(self) -> None:
        """Another has taken the call over: what the one before agreed to is not theirs.

        Who was not asked and need not be is recorded on; else there is silence until the next agent has asked.
        """
        self._callers += 1
        if self._consent is not None:
            self._consent = None
            if self._recording.running:
                self._recording.pause(REPLACED, hide=False)

    async def command(self, data: Mapping[str, Any]) -> Mapping[str, Any]:
        """The command "recording": pause or resume."""
        try:
            return self._recording.command(data)
        except ValueError as error:
            raise NotDoneError(str(error)) from None

    async def _announce(self, rule: RecordingRule) -> None:
        prompt = SayStep(rule.announce, rule.language, rule.prompt_id)
        pcm = await self._context.prompts((prompt,))
        await self._context.caller.play_answered(pcm)
