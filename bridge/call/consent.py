"""May this call be recorded: what the rules say, what the caller is told, and what they answer by key.

    rule ──recorded?──► announce ──► (ask) key ──► Consent ──► recording begins, or does not, or the call ends

`rule_of`, `covers` and `judge` decide; `obtain` asks. A caller who does not answer hears it once more; no answer
then is a refusal. The whole announcement is played even if a key comes early: a text that law asks for is heard.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Literal

from bridge.dialplan.agent import Agent
from bridge.dialplan.recording import RecordingRule

TRIES = 2
How = Literal["none", "announced", "key", "refused", "no_answer", "off"]


@dataclass(frozen=True, slots=True)
class Consent:
    """What came of it. `how`: `none` was needed, `announced`, by `key`, `refused`, `no_answer`; `off` by the rules."""

    recorded: bool
    how: How
    hang_up: bool = False


OFF = Consent(recorded=False, how="off")


def rule_of(route: RecordingRule | None, agent: Agent) -> RecordingRule | None:
    """The rule in force: the route's before the agent's; None: the call is not recorded."""
    rule = route or agent.recording_rule or RecordingRule()
    return rule if rule.enabled and agent.recording else None


def must_ask(rule: RecordingRule) -> bool:
    """Whether the caller has to be told, or asked, before it is recorded."""
    return bool(rule.announce) or rule.consent != "none"


def covers(consent: Consent | None, rule: RecordingRule | None) -> bool:
    """Whether what the caller agreed to is enough for this rule; `consent` None: they were not asked yet."""
    if rule is None:
        return False
    if consent is None:
        return not must_ask(rule)
    if rule.consent == "ask":
        return consent.recorded and consent.how == "key"
    return consent.recorded and (consent.how in {"announced", "key"} or not must_ask(rule))


def judge(rule: RecordingRule, key: str | None) -> Consent:
    """What a key means after the announcement; None: no key came, or none is asked for."""
    if rule.consent != "ask":
        return Consent(recorded=True, how="announced" if rule.announce else "none")
    if key == rule.key:
        return Consent(recorded=True, how="key")
    how: How = "no_answer" if key is None else "refused"
    return Consent(recorded=False, how=how, hang_up=rule.on_refusal == "hang_up")


async def obtain(
    rule: RecordingRule | None,
    play: Callable[[RecordingRule], Awaitable[None]],
    listen: Callable[[], AbstractContextManager["asyncio.Queue[str]"]],
) -> Consent:
    """Tell the caller, and ask if the rule says so.

    `play(rule)` answers the call and plays the announcement to its end; `listen()` gives the keys pressed while it is
    open. Takes at most twice the announcement and twice `wait_s`.
    """
    if rule is None:
        return OFF
    if rule.consent != "ask":
        if rule.announce:
            await play(rule)
        return judge(rule, None)
    with listen() as keys:
        key = None
        for _ in range(TRIES):
            await play(rule)
            key = await _key(keys, rule.wait_s)
            if key is not None:
                break
    return judge(rule, key)


async def _key(keys: "asyncio.Queue[str]", wait_s: float) -> str | None:
    try:
        async with asyncio.timeout(wait_s):
            return await keys.get()
    except TimeoutError:
        return None
