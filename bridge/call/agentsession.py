"""From a dialplan's agent and a caller's facts to the settings of one Realtime session. Pure.

What the caller controls enters the instructions as data only (dialplan/variables.py caps and cleans it).
"""

from collections.abc import Mapping
from typing import Any

from bridge.config import MediaConfig, ProviderConfig
from bridge.dialplan.plan import Agent
from bridge.dialplan.variables import Scene, render
from bridge.realtime.config import SessionConfig

DEFAULT_MODEL = "gpt-realtime-2.1"
HAND_OFF_WORDS = (
    "\n\nYou can hand the caller over to another agent with the function hand_off: {names}. "
    "Tell the caller first."
)


def session_config(
    agent: Agent,
    provider: ProviderConfig,
    media: MediaConfig,
    scene: Scene,
    tools: tuple[Mapping[str, Any], ...] = (),
) -> SessionConfig:
    """The session an agent asks for; formats and model fall back to the settings.

    `tools`: the definitions of what the agent may call.
    """
    audio_format = agent.audio_format or media.model_format
    chosen: dict[str, Any] = {
        "model": agent.model or provider.model or DEFAULT_MODEL,
        "instructions": _instructions(agent, scene),
        "prompt": _stored_prompt(agent, scene),
        "output_modalities": ("audio",),
        "voice": agent.voice,
        "speed": agent.speed,
        "input_format": audio_format,
        "output_format": audio_format,
        "turn_detection": _detection(agent),
        "tools": tools or None,
        "tool_choice": agent.tool_choice,
        "reasoning_effort": agent.reasoning_effort,
        "max_output_tokens": agent.max_output_tokens,
        "truncation": agent.truncation,
        "greeting": render(agent.greeting, scene, agent.language, agent.variables) if agent.greeting else "",
    }
    for name in ("noise_reduction", "transcription"):
        value = getattr(agent, name)
        if value is not None:  # None in the plan means "not sent": the server's own default stays
            chosen[name] = value
    return SessionConfig(**chosen)


def _instructions(agent: Agent, scene: Scene) -> str | None:
    """None: a stored prompt has them. Whom the agent may hand over to stands at the end, in the dialplan's words."""
    text = render(agent.instructions, scene, agent.language, agent.variables)
    if agent.hand_off_to:
        text += HAND_OFF_WORDS.format(names=", ".join(agent.hand_off_to))
    return text or (None if agent.stored_prompt else "")


def _stored_prompt(agent: Agent, scene: Scene) -> Mapping[str, Any] | None:
    stored = agent.stored_prompt
    if stored is None:
        return None
    values = {name: render(text, scene, agent.language) for name, text in stored.get("variables", {}).items()}
    return (
        {**stored, "variables": values} if values else {k: v for k, v in stored.items() if k != "variables"}
    )


def _detection(agent: Agent) -> Mapping[str, Any] | None:
    """Without barge-in the server must not cut its own answer either, or a cough ends a notice."""
    if agent.barge_in or agent.turn_detection is None:
        return agent.turn_detection
    return {**agent.turn_detection, "interrupt_response": False}
