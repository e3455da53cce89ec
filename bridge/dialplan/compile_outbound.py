"""The `outbound` section as a person writes it, into that of a plan. It was checked before.

Reads the do-not-call file. Not worker-safe. Called by bridge/dialplan/load.py.
"""

from collections.abc import Mapping

from bridge.dialplan import inputfile
from bridge.dialplan import outbound as plan
from bridge.dialplan.compile_steps import compile_steps
from bridge.dialplan.do_not_call import MAX_BYTES, content_hash
from bridge.dialplan.schema_outbound import Outbound
from bridge.dialplan.schema_steps import Say
from bridge.dialplan.schema_steps import Step as StepSpec
from bridge.dialplan.source import Source, play_path
from bridge.dialplan.steps import HangUpStep, Step
from bridge.trunk import Trunk

RETRIES = ("busy", "no_answer")


def compile_outbound(source: Source, spec: Outbound, trunks: Mapping[str, Trunk]) -> plan.Outbound:
    """All of it. `trunks`: those of the whole plan."""
    trunk = trunks.get(spec.trunk or "")
    path = play_path(source, spec.do_not_call) if spec.do_not_call else None
    found = ((name, getattr(spec.retry, name, None)) for name in RETRIES)
    return plan.Outbound(
        allow=tuple(spec.allow),
        target=spec.target or (trunk.target.replace("{host}", trunk.host) if trunk else ""),
        trunk=spec.trunk or "",
        caller_id=spec.caller_id,
        steps=compile_steps(source, spec.do),
        deny=tuple(spec.deny),
        kinds=tuple(spec.kinds),
        region=spec.region,
        hours=spec.hours,
        hours_of=spec.hours_of,
        per_day=spec.per_day,
        per_number_per_day=spec.per_number_per_day,
        per_minute=spec.per_minute,
        concurrent=spec.concurrent,
        do_not_call=str(path or ""),
        do_not_call_hash=content_hash(inputfile.read(path, source.root, MAX_BYTES)) if path else "",
        ring_s=spec.ring_s,
        amd=spec.amd,
        amd_s=spec.amd_s,
        on_machine=spec.on_machine,
        message=_message(source, spec.message) if spec.message else (),
        retries=tuple(plan.Retry(name, again.after_s, again.times) for name, again in found if again),
    )


def _message(source: Source, say: Say) -> tuple[Step, ...]:
    return (
        *compile_steps(source, [StepSpec.model_validate({"say": say.model_dump(exclude_none=True)})]),
        HangUpStep(None, ""),
    )
