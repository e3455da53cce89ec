"""Recording rules as a person writes them, into those of a plan. Pure. Not worker-safe (pydantic)."""

from bridge.dialplan.compile_steps import prompt_id
from bridge.dialplan.recording import RecordingRule
from bridge.dialplan.schema_recording import Recording


def recording_rule(spec: Recording | bool | None, language: str) -> RecordingRule | None:
    """`language`: of the dialplan or the agent, for a rule that names none. None when there are no rules."""
    if spec is None or isinstance(spec, bool):
        return None
    language, announce = spec.language or language, spec.announce or ""
    return RecordingRule(
        enabled=spec.enabled,
        announce=announce,
        language=language,
        prompt_id=prompt_id(announce, language) if announce else "",
        consent=spec.consent or ("announce" if announce else "none"),
        key=spec.key,
        wait_s=spec.wait_s,
        on_refusal=spec.on_refusal,
    )
