"""Mistakes in trunks that only show when two places are seen together, and what looks odd.

As check.py, which calls it. `warnings` looks whether the variables of passwords are set. Not worker-safe.
"""

import os
from collections.abc import Iterator, Mapping, Sequence

from bridge.dialplan.compile_trunks import compile_trunk
from bridge.dialplan.schema_targets import TrunkTarget
from bridge.dialplan.schema_trunks import Auth, Register, Trunk
from bridge.dialplan.source import Source
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.secretsource import Secrets
from bridge.trunk import MAX_IDENTITIES, identities
from bridge.yamlfile import KeyPath, YamlFile


def problems(sources: Sequence[Source]) -> Iterator[Problem]:
    """Every mistake, in file order."""
    networks: dict[str, str] = {}
    logins: dict[tuple[str, str], str] = {}
    users: dict[str, str] = {}
    for source in sources:
        for name, trunk in source.typed(source.spec.trunks, "trunks"):
            yield from _alone(source.document, ("trunks", name), trunk)
            login = trunk.register_ and (trunk.register_.registrar.lower(), trunk.register_.user)
            if login and logins.setdefault(login, name) != name:
                hint = (
                    "a call's trunk is told by its registration: one trunk for each, to call out auth will do"
                )
                message = f"trunk {logins[login]} registers there as {login[1]} too"
                yield source.document.problem(("trunks", name, "register"), message, hint, at_key=True)
            if trunk.login and users.setdefault(trunk.login.user, name) != name:
                message = f"{trunk.login.user} is the user of trunk {users[trunk.login.user]} too"
                hint = "a call's trunk is told by its user: one user for each trunk"
                yield source.document.problem(("trunks", name, "digest", "user"), message, hint)
            for number, network in enumerate(trunk.addresses or ()):
                if network in networks:
                    hint = "a call's trunk is told by its address: one trunk for each"
                    yield source.document.problem(
                        ("trunks", name, "addresses", number),
                        f"{network} is trunk {networks[network]} too",
                        hint,
                    )
                networks.setdefault(network, name)
    yield from _too_many(sources)
    yield from _targets(sources)


def warnings(sources: Sequence[Source], environ: Mapping[str, str] | None = None) -> Iterator[Problem]:
    """What is allowed but probably not meant."""
    secrets = Secrets(os.environ if environ is None else environ)
    for source in sources:
        for name, trunk in source.typed(source.spec.trunks, "trunks"):
            path: KeyPath = ("trunks", name)
            for key, part in (("register", trunk.register_), ("auth", trunk.auth), ("digest", trunk.login)):
                variable = part.password_env if part is not None else None
                missing = secrets.why_missing(variable) if variable else ""
                if missing:
                    message = f"here {missing}"
                    hint = "set it for the control process, or the trunk cannot log in"
                    yield source.document.problem((*path, key, "password_env"), message, hint)
                if variable and isinstance(part, Register | Auth) and part.realm is None:
                    hint = (
                        "add realm, as its 401 or 407 names it: then a worker is given no password, only HA1"
                    )
                    yield source.document.problem(
                        (*path, key), "any realm gets our digest", hint, at_key=True
                    )
            if trunk.host and not (trunk.caller_id or trunk.register_):
                hint = "add caller_id: {number: …}: carriers refuse calls from a name they do not know"
                yield source.document.problem(path, "calls to it show no number of ours", hint, at_key=True)


def _alone(document: YamlFile, path: KeyPath, trunk: Trunk) -> Iterator[Problem]:
    if not (trunk.addresses or trunk.host or trunk.register_ or trunk.login):
        hint = "add addresses or digest (it calls us), host (we call it) or register"
        yield document.problem(path, "no call comes from it and none goes to it", hint, at_key=True)
    if trunk.options_every_s and not (trunk.host or trunk.register_):
        yield document.problem((*path, "options_every_s"), "there is nobody to ask", "add host")
    if trunk.auth and trunk.register_ and trunk.register_.password_env:
        hint = "one of them is enough: digest of `register` is used for calls too"
        yield document.problem((*path, "auth"), "there is a password in register already", hint, at_key=True)
    if trunk.codecs and len({*trunk.codecs}) < len(trunk.codecs):
        yield document.problem((*path, "codecs"), "the same codec twice", "name it once")
    if trunk.codecs and {*trunk.codecs} == {"G722"}:
        hint = "add PCMA or PCMU: when all wideband workers are busy a call goes to a narrow one"
        yield document.problem((*path, "codecs"), "G722 alone", hint)


def _targets(sources: Sequence[Source]) -> Iterator[Problem]:
    """Numbers of `transfers`, and calls of `outbound`, whose trunk is not there or cannot be called."""
    trunks = {name: one for source in sources for name, one in source.typed(source.spec.trunks, "trunks")}
    known = {name for source in sources for name in source.spec.trunks}
    for source in sources:
        used: list[tuple[KeyPath, str]] = [
            (("transfers", name, "trunk"), target.trunk)
            for name, target in source.typed(source.spec.transfers, "transfers")
            if isinstance(target, TrunkTarget)
        ]
        if source.spec.outbound is not None and source.spec.outbound.trunk is not None:
            used.append((("outbound", "trunk"), source.spec.outbound.trunk))
        for path, name in used:
            if name not in known:
                hint = nearest(name, known) or "name it in trunks"
                yield source.document.problem(path, f"no trunk is called {name}", hint)
            elif name in trunks and not (trunks[name].host or trunks[name].register_):
                yield source.document.problem(path, f"no call goes to trunk {name}", "give the trunk a host")


def _too_many(sources: Sequence[Source]) -> Iterator[Problem]:
    every = [
        (source, name, compile_trunk(name, one))
        for source in sources
        for name, one in source.typed(source.spec.trunks, "trunks")
    ]
    needed = identities(tuple(trunk for _, _, trunk in every))
    if needed > MAX_IDENTITIES:
        source, name, _ = every[-1]
        message = f"{needed} different identities in all trunks, a worker has {MAX_IDENTITIES}"
        hint = "trunks with the same login, proxy, session_timer and prack share one; plain ones need none"
        yield source.document.problem(("trunks", name), message, hint, at_key=True)
