"""Mistakes in an agent that need more than its own lines: its prompt, whom it hands over to. Not worker-safe.

Called by check.py.
"""

from collections.abc import Collection, Iterator

from bridge.dialplan.schema_agent import Agent
from bridge.dialplan.schema_recording import Recording
from bridge.dialplan.source import Source
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath

HAND_OFF = "hand_off"


def agent_problems(
    source: Source, name: str, agent: Agent, agents: Collection[str] | None
) -> Iterator[Problem]:
    """`agents`: all names there are; None when they are not known."""
    document, path = source.document, ("agents", name)
    if agent.instructions is None and agent.prompt is None and agent.stored_prompt is None:
        hint = "instructions, or prompt: {id: …} of the folder prompts"
        yield document.problem((*path, "instructions"), "this key is needed", hint, at_key=True)
    if agent.instructions is not None and agent.prompt is not None:
        yield document.problem((*path, "prompt"), "instructions and prompt", "keep one of them", at_key=True)
    elif agent.prompt is not None:
        yield from source.prompts.problems(document, (*path, "prompt"), agent.prompt)
    yield from _hand_offs(source, name, agent, agents)


def _hand_offs(source: Source, name: str, agent: Agent, agents: Collection[str] | None) -> Iterator[Problem]:
    seen: set[str] = set()
    for number, target in enumerate(agent.hand_off_to):
        path: KeyPath = ("agents", name, "hand_off_to", number)
        if agents is not None and target not in agents:
            hint = nearest(target, {*agents} - {name}) or "name it in agents"
            yield source.document.problem(path, f"no agent is called {target}", hint)
        elif target == name:
            yield source.document.problem(path, "an agent cannot hand over to itself", "remove it")
        elif target in seen:
            yield source.document.problem(path, f"{target} is named twice", "remove one")
        seen.add(target)


def agent_warnings(source: Source) -> Iterator[Problem]:
    """What is allowed but probably not meant."""
    for name, agent in source.agents():
        path: KeyPath = ("agents", name)
        if agent.hand_off_to and HAND_OFF not in agent.tools:
            hint = f"add {HAND_OFF} to its tools"
            message = "it has no tool to hand over with"
            yield source.document.problem((*path, "hand_off_to"), message, hint, at_key=True)
        if HAND_OFF in agent.tools and not agent.hand_off_to:
            hint = "hand_off_to: [NAME, …]"
            yield source.document.problem((*path, "tools"), f"{HAND_OFF} leads nowhere", hint, at_key=True)
        if agent.stored_prompt is not None:
            hint = "OpenAI ends its own on 2026-11-30: use prompt"
            message = "the model's server must keep this prompt"
            yield source.document.problem((*path, "stored_prompt"), message, hint, at_key=True)
        yield from _not_warned(source, path, agent)
        if isinstance(agent.recording, Recording):
            yield from recording_warnings(source, (*path, "recording"), agent.recording)
    for number, route in source.routes():
        if route.recording is not None:
            yield from recording_warnings(source, ("routes", number, "recording"), route.recording)
    yield from source.prompts.warnings()


def _not_warned(source: Source, path: KeyPath, agent: Agent) -> Iterator[Problem]:
    limits = agent.limits
    if limits is None or "warn_s" not in limits.model_fields_set or not limits.warn_s:
        return
    path = (*path, "limits", "warn_s")
    if limits.max_call_s is None:
        yield source.document.problem(
            path, "the caller is not warned of an end that is not set", "max_call_s: 600"
        )
    elif limits.max_call_s < 2 * limits.warn_s:
        message = f"the caller is not warned in calls of {limits.max_call_s} s"
        yield source.document.problem(path, message, "at most half of max_call_s")


def recording_warnings(source: Source, path: KeyPath, rule: Recording) -> Iterator[Problem]:
    """What a rule says in vain."""
    for key in sorted(rule.model_fields_set & {"key", "wait_s", "on_refusal"}):
        if rule.consent != "ask":
            yield source.document.problem(
                (*path, key), "nobody is asked for consent", "consent: ask", at_key=True
            )
