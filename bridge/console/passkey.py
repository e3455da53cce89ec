"""Passkeys (Web Authentication, level 3), by webauthn: what the browser is asked, and whether its answer is right.

The relying party is the host name under which people reach the console, the origin is checked against it, and
attestation is not asked for: any authenticator will do. User presence is required, verification preferred: it is the
second factor, the password was the first. Needs https, or http to localhost; an IP address can be no relying party.
webauthn is imported where it is used: it takes a tenth of a second and 6 MB, and most of the time nobody needs it.
Pure but for random bytes.
"""

import base64
import ipaddress
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor

NAME = "sipbridge"
TIMEOUT_MS = 120_000
MAX_ANSWER_CHARS = 20_000


@dataclass(frozen=True, slots=True)
class Party:
    """Who asks: the relying party's id (a host name), and the origin of its pages."""

    host: str
    origin: str


@dataclass(frozen=True, slots=True)
class Key:
    """One passkey as it is kept: base64url."""

    credential_id: str
    public_key: str

    def to_json(self) -> bytes:
        """For the vault."""
        return json.dumps([self.credential_id, self.public_key]).encode()

    @staticmethod
    def from_json(kept: bytes) -> "Key":
        """What `to_json` made."""
        return Key(*json.loads(kept))


def party(url: str, host: str) -> Party | None:
    """The relying party by `console.url`, or else by Host; None: passkeys cannot be used there."""
    origin = url or f"http://{host}"
    name = urlsplit(origin).hostname or ""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        secure = origin.startswith("https:") or name == "localhost" or name.endswith(".localhost")
        return Party(name, origin) if name and secure else None
    return None


def creation(party: Party, user: str, user_id: bytes, known: Iterable[Key]) -> tuple[str, str]:
    """(options as JSON for the browser, challenge) for a new passkey. `user_id`: says nothing about the user."""
    from webauthn import generate_registration_options, options_to_json  # noqa: PLC0415
    from webauthn.helpers.structs import (  # noqa: PLC0415
        AuthenticatorSelectionCriteria,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )

    options = generate_registration_options(
        rp_id=party.host,
        rp_name=NAME,
        user_name=user,
        user_id=user_id,
        timeout=TIMEOUT_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.DISCOURAGED,
            user_verification=UserVerificationRequirement.PREFERRED,
        ),
        exclude_credentials=_described(known),
    )
    return options_to_json(options), _text(options.challenge)


def created(party: Party, answer: str, challenge: str) -> tuple[Key, int] | None:
    """The new passkey and its counter; None: the answer is not right."""
    from webauthn import verify_registration_response  # noqa: PLC0415
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

    try:
        found = verify_registration_response(
            credential=answer[:MAX_ANSWER_CHARS],
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=party.host,
            expected_origin=party.origin,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError, RecursionError):
        return None
    return Key(_text(found.credential_id), _text(found.credential_public_key)), found.sign_count


def request(party: Party, known: Iterable[Key]) -> tuple[str, str]:
    """(options as JSON for the browser, challenge) to prove one of these passkeys."""
    from webauthn import generate_authentication_options, options_to_json  # noqa: PLC0415

    options = generate_authentication_options(
        rp_id=party.host, timeout=TIMEOUT_MS, allow_credentials=_described(known)
    )
    return options_to_json(options), _text(options.challenge)


def named_in(answer: str) -> str:
    """The credential id that an answer is of; "": it is none."""
    try:
        found = json.loads(answer[:MAX_ANSWER_CHARS])
    except (ValueError, RecursionError):
        return ""
    name = found.get("id") if isinstance(found, dict) else None
    return name if isinstance(name, str) else ""


def proved(party: Party, answer: str, challenge: str, key: Key, counter: int) -> int | None:
    """The passkey's new counter; None: the answer is not right, or its counter did not grow: it may be a copy."""
    from webauthn import verify_authentication_response  # noqa: PLC0415
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415
    from webauthn.helpers.exceptions import WebAuthnException  # noqa: PLC0415

    try:
        found = verify_authentication_response(
            credential=answer[:MAX_ANSWER_CHARS],
            expected_challenge=base64url_to_bytes(challenge),
            expected_rp_id=party.host,
            expected_origin=party.origin,
            credential_public_key=base64url_to_bytes(key.public_key),
            credential_current_sign_count=counter,
        )
    except (WebAuthnException, ValueError, TypeError, KeyError, RecursionError):
        return None
    return found.new_sign_count


def _described(known: Iterable[Key]) -> "list[PublicKeyCredentialDescriptor]":
    from webauthn.helpers import base64url_to_bytes  # noqa: PLC0415
    from webauthn.helpers.structs import PublicKeyCredentialDescriptor  # noqa: PLC0415

    return [PublicKeyCredentialDescriptor(id=base64url_to_bytes(key.credential_id)) for key in known]


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")
