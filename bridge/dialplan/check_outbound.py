"""Mistakes in the `outbound` section. Reads the do-not-call file. Not worker-safe. Called by check.py."""

from collections.abc import Collection, Iterator, Sequence

from bridge.dialplan import do_not_call, inputfile
from bridge.dialplan.check_steps import Known, StepWalk, Where
from bridge.dialplan.outbound import NEVER
from bridge.dialplan.schema_outbound import Outbound
from bridge.dialplan.source import Source, play_path
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import KeyPath

PATH: KeyPath = ("outbound",)
MAX_TOLD = 20
"""Mistakes of one do-not-call file; a wrong file has one on every line."""


def problems(sources: Sequence[Source], known: Known, *, whole: bool) -> Iterator[Problem]:
    """Every mistake of every `outbound`; only one file may have it."""
    first = ""
    hours = {name for source in sources for name in source.spec.hours} if whole else None
    for source in sources:
        spec = source.spec.outbound
        if spec is None:
            continue
        if first:
            yield source.document.problem(PATH, f"outbound is also in {first}", at_key=True)
            continue
        first = source.document.name
        yield from _rules(source, spec, hours)
        yield from StepWalk(source, known).steps(
            spec.do, (*PATH, "do"), Where(answered=True, maybe_answered=True)
        )
        yield from _do_not_call(source, spec)


def agents(sources: Sequence[Source]) -> set[str]:
    """Names of the agents that calls we place lead to."""
    steps = [step for source in sources if source.spec.outbound for step in source.spec.outbound.do]
    return {one.agent for step in steps for one in (step, *(step.or_else or ())) if one.agent}


def _rules(source: Source, spec: Outbound, hours: Collection[str] | None) -> Iterator[Problem]:
    document = source.document
    if (spec.trunk is None) == (spec.target is None):
        message = "where do the calls go?" if spec.trunk is None else "trunk and target"
        yield document.problem(PATH, message, "either trunk: NAME or target: sip:{number}@HOST", at_key=True)
    if spec.hours is not None and hours is not None and spec.hours not in hours:
        message = f"there are no opening hours {spec.hours}"
        yield document.problem((*PATH, "hours"), message, nearest(spec.hours, hours))
    if spec.hours_of == "callee" and spec.hours is None:
        yield document.problem((*PATH, "hours_of"), "whose hours? there are none", "add hours", at_key=True)
    leaves = spec.on_machine == "leave_message"
    if leaves and spec.message is None:
        yield document.problem(
            (*PATH, "on_machine"), "which message?", "add message: what is said to a machine"
        )
    if spec.message is not None and not leaves:
        hint = "on_machine: leave_message"
        yield document.problem((*PATH, "message"), "nobody would hear this message", hint, at_key=True)
    if spec.on_machine != "hang_up" and not spec.amd:
        message = "machines are not looked for"
        yield document.problem((*PATH, "on_machine"), message, "amd: true, or remove it", at_key=True)
    for number, prefix in enumerate(spec.allow):
        never = next((one for one in NEVER if prefix.startswith(one)), None)
        if never:
            message = f"{never} is never dialled: {NEVER[never]}"
            yield document.problem((*PATH, "allow", number), message, "remove it")
        elif prefix in spec.deny:
            yield document.problem((*PATH, "allow", number), f"{prefix} is denied as well", "remove one")


def _do_not_call(source: Source, spec: Outbound) -> Iterator[Problem]:
    if spec.do_not_call is None:
        return
    path = play_path(source, spec.do_not_call)
    try:
        content = inputfile.read(path, source.root, do_not_call.MAX_BYTES)
    except OSError as error:
        message = f"cannot be read: {error.strerror or error}"
        yield source.document.problem((*PATH, "do_not_call"), message, str(path))
        return
    hint = "one number a line, such as +493012345678; # begins a comment"
    for told, (line, message) in enumerate(do_not_call.mistakes(content)):
        if told == MAX_TOLD:
            yield source.document.problem((*PATH, "do_not_call"), f"more than {MAX_TOLD} broken lines", hint)
            return
        yield Problem(str(path), line, 1, "", message, hint)
