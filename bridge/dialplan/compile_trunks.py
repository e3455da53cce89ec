"""Trunks as a person writes them, into those of a plan. Pure. Not worker-safe."""

from collections.abc import Mapping

from bridge import trunk as plan
from bridge.dialplan.schema_targets import TrunkTarget
from bridge.dialplan.schema_trunks import Auth, Register, Trunk


def compile_trunk(name: str, spec: Trunk) -> plan.Trunk:
    """Everything that was left out is filled in."""
    register = spec.register_
    return plan.Trunk(
        name=name,
        addresses=tuple(spec.addresses or ()),
        host=spec.host or (register.registrar if register else ""),
        register=_registration(register),
        digest=_digest(spec.auth, register),
        proxy=spec.proxy or "",
        caller_id=_caller_id(spec),
        codecs=tuple(spec.codecs or ()),
        session_timer=spec.session_timer.mode,
        session_expires_s=spec.session_timer.expires_s,
        prack=spec.prack,
        dtmf=spec.dtmf,
        options_every_s=spec.options_every_s or 0,
        verstat=spec.verstat,
        login=plan.Digest(spec.login.user, "", spec.login.password_env) if spec.login else None,
        target=spec.target,
    )


def uri_of(target: str | TrunkTarget, trunks: Mapping[str, plan.Trunk]) -> str:
    """The URI of a target of `transfers`; the checks made sure that its trunk can be called."""
    return trunks[target.trunk].uri(target.number) if isinstance(target, TrunkTarget) else target


def _registration(register: Register | None) -> plan.Registration | None:
    if register is None:
        return None
    return plan.Registration(register.registrar, register.user, register.expires_s)


def _digest(auth: Auth | None, register: Register | None) -> plan.Digest | None:
    if auth is not None:
        return plan.Digest(auth.user, auth.realm or "", auth.password_env)
    if register is not None and register.password_env:
        return plan.Digest(register.auth_user or register.user, register.realm or "", register.password_env)
    return None


def _caller_id(spec: Trunk) -> plan.CallerId:
    rules, register = spec.caller_id, spec.register_
    user, host = (register.user, register.registrar) if register else ("", spec.host or "")
    if rules is None:
        return plan.CallerId(number=user, host=host)
    return plan.CallerId(
        number=rules.number or user,
        display=rules.display or "",
        host=rules.host or host,
        allowed=tuple(rules.allowed),
        asserted=rules.asserted,
        anonymous=rules.anonymous,
    )
