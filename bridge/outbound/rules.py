"""The rules of a plan with the do-not-call list they name. Reads that file. Not worker-safe."""

from pathlib import Path

from bridge.dialplan import inputfile
from bridge.dialplan.do_not_call import MAX_BYTES, content_hash, numbers
from bridge.dialplan.plan import Plan
from bridge.outbound.policy import Rules


def rules_of(plan: Plan | None) -> Rules | None:
    """None: the plan allows no calls. A list that is not as it was when the plan was loaded counts as unreadable."""
    if plan is None or plan.outbound is None:
        return None
    out = plan.outbound
    if not out.do_not_call:
        return Rules(out, plan.hours)
    try:
        content = inputfile.read(Path(out.do_not_call), None, MAX_BYTES)
    except OSError:
        return Rules(out, plan.hours, None)
    known = numbers(content) if content_hash(content) == out.do_not_call_hash else None
    return Rules(out, plan.hours, known)
