"""An agent as a person writes it, into the agent of a plan. Pure. Not worker-safe (pydantic).

Called by bridge/dialplan/load.py.
"""

from typing import Any

from bridge.dialplan import agent as plan
from bridge.dialplan import schema_agent as schema
from bridge.dialplan.schema_base import Part


def compile_agent(name: str, spec: schema.Agent, language: str) -> plan.Agent:
    """`language`: the dialplan's, for an agent that names none."""
    return plan.Agent(
        name=name,
        instructions=spec.instructions,
        greeting=spec.greeting,
        language=spec.language or language,
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
        recording=spec.recording,
        max_call_s=spec.limits.max_call_s if spec.limits else None,
        tools=tuple(spec.tools),
    )


def _sent(value: Any) -> Any:
    """What goes over the wire: only what was given."""
    return value.model_dump(exclude_none=True) if isinstance(value, Part) else value
