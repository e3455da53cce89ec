"""An agent as a person writes it, into the agent of a plan. Pure. Not worker-safe (pydantic).

Called by bridge/dialplan/load.py.
"""

from typing import Any

from bridge.dialplan import agent as plan
from bridge.dialplan import schema_agent as schema
from bridge.dialplan.compile_recording import recording_rule
from bridge.dialplan.schema_base import Part
from bridge.dialplan.source import Source


def compile_agent(source: Source, name: str, spec: schema.Agent) -> plan.Agent:
    """The agent, with its prompt's text in it: who changes the text makes another plan."""
    use = spec.prompt
    prompt = source.prompts.find(use)[0] if use else None
    front = prompt.front if prompt else None
    language = spec.language or (front.language if front else None) or source.spec.language
    limits = spec.limits or schema.AgentLimits()
    return plan.Agent(
        name=name,
        instructions=prompt.text if prompt else spec.instructions or "",
        greeting=spec.greeting or (front.greeting if front else None),
        language=language,
        provider=spec.provider,
        model=spec.model,
        voice=spec.voice,
        speed=spec.speed,
        audio_format=spec.audio.format if spec.audio else None,
        turn_detection=_sent(spec.turn_detection),
        noise_reduction=_sent(spec.noise_reduction),
        transcription=_sent(spec.transcription),
        max_output_tokens=spec.max_output_tokens,
        truncation=_sent(spec.truncation),
        tool_choice=_sent(spec.tool_choice),
        reasoning_effort=spec.reasoning.effort if spec.reasoning else None,
        barge_in=spec.barge_in,
        recording=spec.recording is not False,
        recording_rule=recording_rule(spec.recording, language),
        max_call_s=limits.max_call_s,
        max_cost_usd=limits.max_cost_usd,
        max_tokens=limits.max_tokens,
        max_tool_calls=limits.max_tool_calls,
        warn_s=limits.warn_s,
        idle_s=limits.idle_s,
        tools=tuple(spec.tools),
        hand_off_to=tuple(spec.hand_off_to),
        prompt=f"{front.id}@{front.version}" if front else "",
        variables=prompt.values(use.variables) if prompt and use else {},
        stored_prompt=_sent(spec.stored_prompt),
    )


def _sent(value: Any) -> Any:
    """What goes over the wire: only what was given."""
    return value.model_dump(exclude_none=True) if isinstance(value, Part) else value
