"""pjsua2's accounts: the worker's own, and one for each identity the trunks need. Pj thread only.

pjsua has room for eight and aborts the process at the ninth, so trunks with the same identity share one (see
bridge/trunk.py) and plain ones use the worker's own. An account whose trunk is gone keeps its registration until its
last call is over; then it unregisters, and is let go of.
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import pjsua2 as pj
import structlog

from bridge.config import SipConfig
from bridge.errors import SipError
from bridge.sip.directory import Directory, Line, source_address
from bridge.sip.endpoint import account_config
from bridge.sip.events import Invite
from bridge.sip.headers import clean, parse_invite
from bridge.trunk import MAX_IDENTITIES, Credential, Trunk, line_token

log = structlog.get_logger(__name__)

STOP_S = 1.0
LEAVE_S = 3.0  # how long a registrar may take to answer our un-REGISTER
TIMER_USE = {
    "off": pj.PJSUA_SIP_TIMER_INACTIVE,
    "optional": pj.PJSUA_SIP_TIMER_OPTIONAL,
    "required": pj.PJSUA_SIP_TIMER_REQUIRED,
}
PRACK_USE = {
    "off": pj.PJSUA_100REL_NOT_USED,
    "optional": pj.PJSUA_100REL_OPTIONAL,
    "required": pj.PJSUA_100REL_MANDATORY,
}


class AccountOwner(Protocol):
    """The part of SipAgent the accounts need."""

    def incoming(self, call_index: int, invite: Invite) -> None:
        """An INVITE came."""

    def identified(self, invite: Invite) -> Invite:
        """The INVITE with the trunk it comes from."""

    def to_loop(self, callback: Callable[..., None], *args: object) -> None:
        """Run `callback` on the loop."""


class Told(Protocol):
    """Who wants to know, on the loop."""

    def registration(self, name: str, status: int, reason: str) -> None:
        """What became of a trunk's REGISTER."""

    def answered(self, name: str, status: int) -> None:
        """What came to an OPTIONS of ours."""


class PjEndpoint(pj.Endpoint):  # type: ignore[misc]  # pjsua2 has no types
    """pjsua2's endpoint; it asks which account an INVITE is for."""

    def __init__(self, accounts: "Accounts") -> None:
        super().__init__()
        self.accounts = accounts

    def onSelectAccount(self, prm: Any) -> None:  # noqa: N802
        self.accounts.select(prm)


class PjAccount(pj.Account):  # type: ignore[misc]  # pjsua2 has no types
    """A local identity; INVITEs arrive here."""

    def __init__(self, accounts: "Accounts") -> None:
        super().__init__()
        self.accounts = accounts

    def onIncomingCall(self, prm: Any) -> None:  # noqa: N802
        self.accounts.incoming(prm.callId, parse_invite(prm.rdata.wholeMsg, prm.rdata.srcAddress))

    def onIncomingSubscribe(self, prm: Any) -> None:  # noqa: N802
        prm.code = 405
        prm.reason = "Method Not Allowed"

    def onRegState(self, prm: Any) -> None:  # noqa: N802
        self.accounts.registered(self, prm)

    def onSendRequest(self, prm: Any) -> None:  # noqa: N802
        self.accounts.answered(prm)


@dataclass(slots=True)
class _Slot:
    identity: tuple[object, ...]
    account: PjAccount
    credential: Credential | None
    registers: bool
    names: set[str]
    token: str = field(default_factory=lambda: uuid.uuid4().hex)
    user: str = ""
    address: str = ""
    state: tuple[int, str] | None = None  # what came of the last REGISTER
    leave_by_s: float | None = None


@dataclass(frozen=True, slots=True)
class _Asked:
    """An OPTIONS that waits for its answer. pjsip aborts the process when its account is deleted before that."""

    trunk: str
    account: PjAccount
    token: Any  # its address is the request's user data


class Accounts:
    """All of them. `start` makes the worker's own, `leave` unregisters; after the endpoint is destroyed `clear`."""

    def __init__(self, sip: SipConfig, owner: AccountOwner) -> None:
        self._sip = sip
        self._owner = owner
        self._slots: list[_Slot] = []
        self._asked: dict[int, _Asked] = {}
        self._directory = Directory(())
        self.trunks: dict[str, Trunk] = {}
        self.base: PjAccount
        self.told: Told

    def start(self) -> None:
        """The worker's own account."""
        self.base = PjAccount(self)
        self.base.create(account_config(self._sip))

    def know(self, trunks: Iterable[Trunk]) -> None:
        """The trunks in force: calls from them are known by name from now on."""
        self.trunks = {trunk.name: trunk for trunk in trunks}
        self._directory = Directory(self.trunks.values())

    def trunk_of(self, invite: Invite) -> str:
        """The name of the trunk an INVITE comes from; "" for none. Behind the edge: of an INVITE as it has it."""
        lines = (
            Line(name, slot.token, slot.user, slot.address)
            for slot in self._slots
            if slot.registers or self._sip.edge
            for name in sorted(slot.names)
        )
        if self._sip.edge:
            return self._directory.named(invite, lines)
        return self._directory.find(invite, lines)

    def incoming(self, call_index: int, invite: Invite) -> None:
        """An INVITE came on one of the accounts."""
        self._owner.incoming(call_index, invite)

    # ---- opening and closing ---------------------------------------------------------------------------------

    def open(self, trunk: Trunk, credential: Credential | None, *, registers: bool) -> None:
        """Make (or share, or bring up to date) the trunk's account. Raises SipError when there is none to be had."""
        slot = self._slot(trunk.name)
        if slot is not None and slot.identity != trunk.identity:
            self.close(trunk.name)
            slot = None
        if trunk.plain:
            return
        slot = slot or next(
            (s for s in self._slots if s.identity == trunk.identity and s.leave_by_s is None), None
        )
        if slot is None:
            slot = self._make(trunk, credential, registers=registers)
        elif (slot.credential, slot.registers) != (credential, registers):
            slot.credential, slot.registers = credential, registers
            if self._sip.edge:
                slot.token = _token(trunk, credential)
            slot.account.modify(self._config(trunk, slot))
        if trunk.name not in slot.names:
            slot.names.add(trunk.name)
            if slot.state is not None:
                self._owner.to_loop(self.told.registration, trunk.name, *slot.state)

    def _make(self, trunk: Trunk, credential: Credential | None, *, registers: bool) -> _Slot:
        if len(self._slots) >= MAX_IDENTITIES:
            raise SipError(
                503, "every account is in use: one is free when the calls of a changed trunk are over"
            )
        slot = _Slot(trunk.identity, PjAccount(self), credential, registers, {trunk.name})
        slot.user = trunk.register.user if trunk.register else ""
        if self._sip.edge:
            slot.token = _token(trunk, credential)
        self._slots.append(slot)
        problem = _create(slot.account, self._config(trunk, slot))
        if problem:
            self._slots.remove(slot)
            raise SipError(500, f"trunk {trunk.name}: {problem}")
        return slot

    def close(self, name: str) -> None:
        """The trunk is no more, or another now; its account goes with its last call (see `sweep`)."""
        for slot in self._slots:
            slot.names.discard(name)

    def sweep(self, in_use: Callable[[], set[int]]) -> None:
        """Let go of accounts whose trunk is gone. `in_use`: ids of the accounts that calls are on."""
        gone = [slot for slot in self._slots if not slot.names]
        if not gone:
            return
        busy = in_use()
        for slot in gone:
            if slot.leave_by_s is None and slot.account.getId() not in busy:
                slot.leave_by_s = time.monotonic() + (LEAVE_S if slot.registers else 0)
                if slot.registers:
                    _register(slot.account, on=False)
            elif self._may_go(slot):
                self._slots.remove(slot)
                slot.account.shutdown()

    def _may_go(self, slot: _Slot) -> bool:
        left = slot.leave_by_s is not None and time.monotonic() >= slot.leave_by_s
        return left and not any(asked.account is slot.account for asked in self._asked.values())

    def leave(self, turn: Callable[[], None]) -> None:
        """Unregister what is registered; `turn` lets pjsip work. The endpoint's end deletes what is left."""
        for slot in self._slots:
            slot.names.clear()
        until = time.monotonic() + STOP_S
        while any(slot.registers for slot in self._slots) and time.monotonic() < until:
            self.sweep(set)
            turn()

    def clear(self) -> None:
        """Drop every account; the endpoint is destroyed."""
        self._slots.clear()
        self._asked.clear()
        self.__dict__.pop("base", None)

    # ---- use -------------------------------------------------------------------------------------------------

    def account(self, name: str, *, ready: bool = True) -> PjAccount:
        """The account for calls of a trunk; "" is the worker's own.

        Raises SipError when it is not open; with `ready` False, for a call that came, the worker's own will do.
        """
        slot = self._slot(name)
        if slot is not None:
            return slot.account
        if not ready:
            return self.base
        trunk = self.trunks.get(name)
        if name and trunk is None:
            raise SipError(404, f"there is no trunk {name[:64]}")
        if trunk is not None and not trunk.plain:
            raise SipError(503, f"trunk {name} is not ready")
        return self.base

    def select(self, prm: Any) -> None:
        """Pjsua asks which account an INVITE is for: what session timers and PRACK follow from."""
        invite = parse_invite(prm.rdata.wholeMsg, prm.rdata.srcAddress)
        name = self._owner.identified(invite).trunk
        slot = self._slot(name) if name else None
        prm.accountIndex = (slot.account if slot else self.base).getId()

    def register(self, name: str) -> None:
        """REGISTER again, now."""
        slot = self._slot(name)
        if slot is not None and slot.registers:
            _register(slot.account, on=True)

    def ask(self, name: str) -> None:
        """OPTIONS to the trunk (RFC 3261 section 11); the answer, or the timeout, goes to the owner."""
        trunk = self.trunks[name]
        token = pj.SipHeader()  # any pj object will do: its address comes back
        prm = pj.SendRequestParam()
        prm.method = "OPTIONS"
        prm.txOption.targetUri = f"sip:{trunk.host}"
        prm.userData = token
        account = self.account(name)
        self._asked[int(token.this)] = _Asked(name, account, token)
        try:
            account.sendRequest(prm)
        except pj.Error:
            del self._asked[int(token.this)]
            self._owner.to_loop(self.told.answered, name, 503)

    # ---- answers ---------------------------------------------------------------------------------------------

    def registered(self, account: PjAccount, prm: Any) -> None:
        """pjsua2's onRegState."""
        slot = next((one for one in self._slots if one.account is account), None)
        if slot is None:
            return
        if slot.leave_by_s is not None:
            slot.leave_by_s = time.monotonic()
            return
        code = prm.code if prm.code >= 300 or prm.expiration > 0 else 480
        if code == 200:
            slot.address = str(source_address(prm.rdata.srcAddress) or slot.address)
        slot.state = code, clean(prm.reason, 80)
        for name in slot.names:
            self._owner.to_loop(self.told.registration, name, *slot.state)

    def answered(self, prm: Any) -> None:
        """pjsua2's onSendRequest."""
        asked = self._asked.pop(int(prm.userData), None)
        if asked is not None:
            self._owner.to_loop(self.told.answered, asked.trunk, prm.e.body.tsxState.tsx.statusCode)

    # ---- inside ----------------------------------------------------------------------------------------------

    def _slot(self, name: str) -> _Slot | None:
        return next((slot for slot in self._slots if name in slot.names), None)

    def _config(self, trunk: Trunk, slot: _Slot) -> pj.AccountConfig:
        config = account_config(self._sip)
        config.callConfig.timerUse = TIMER_USE[trunk.session_timer]
        config.callConfig.timerSessExpiresSec = trunk.session_expires_s
        config.callConfig.prackUse = PRACK_USE[trunk.prack]
        if trunk.route:
            config.sipConfig.proxies.append(f"<sip:{trunk.route};lr>")
        if slot.credential is not None:
            config.sipConfig.authCreds.append(_auth(slot.credential))
        if trunk.register is not None:
            config.idUri = f"<sip:{trunk.register.user}@{trunk.register.registrar}>"
            if slot.registers:
                _registers(config, trunk, slot.token)
        return config


def _registers(config: pj.AccountConfig, trunk: Trunk, token: str) -> None:
    assert trunk.register is not None
    registration = config.regConfig
    registration.registrarUri = f"sip:{trunk.register.registrar}"
    registration.timeoutSec = trunk.register.expires_s
    registration.contactUriParams = f";line={token}"
    registration.retryIntervalSec = registration.firstRetryIntervalSec = 0  # upkeep.py decides when
    registration.unregWaitMsec = 500


def _token(trunk: Trunk, credential: Credential | None) -> str:
    """The same in every worker, if a password makes that possible."""
    shared = line_token(trunk.register, credential) if trunk.register is not None else ""
    return shared or uuid.uuid4().hex


def _auth(credential: Credential) -> pj.AuthCredInfo:
    kind = pj.PJSIP_CRED_DATA_DIGEST if credential.ha1 else pj.PJSIP_CRED_DATA_PLAIN_PASSWD
    return pj.AuthCredInfo("digest", credential.realm or "*", credential.user, kind, credential.value)


def _create(account: PjAccount, config: pj.AccountConfig) -> str:
    """Says what went wrong, "" when nothing did. No exception: its traceback would hold the account."""
    try:
        account.create(config)
    except pj.Error as error:
        return clean(error.reason) or "refused"
    return ""


def _register(account: PjAccount, *, on: bool) -> None:
    with contextlib.suppress(pj.Error):  # one is on its way already
        account.setRegistration(on)
