"""A telephone number that somebody wrote, read strictly. Everything else about outbound calls sees only the result.

    "030 / 1234567", region DE ──read──► Number("+49301234567", "fixed_line", ("Europe/Berlin",))

phonenumbers is generous: it takes letters, full-width and Arabic digits, `tel:` with a phone-context, extensions. A
number that may cost money must not be generous, so all of that is refused first. Pure; any thread. Not worker-safe.
"""

import re
from dataclasses import dataclass

import phonenumbers
from phonenumbers import PhoneNumberType
from phonenumbers.timezone import time_zones_for_number

from bridge.dialplan.outbound import E164
from bridge.errors import BridgeError

MAX_CHARS = 32
_SHAPE = re.compile(r"\+?[0-9(][0-9 ()./-]*[0-9]\Z")
_FOREIGN: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"[\x00-\x1f\x7f]"), "control characters"),
    (re.compile(r"[^\x20-\x7e]"), "characters that are not plain ASCII"),
    (re.compile(r"%"), "percent escapes"),
    (re.compile(r"[:@]"), "an address, not a number"),
    (re.compile(r"[;?=&]"), "parameters or headers"),
    (re.compile(r"[*#]"), "* or #"),
    (re.compile(r"[,pPwW](?=[0-9])"), "pauses with digits after them"),
    (re.compile(r"[<>\"']"), "brackets or quotes"),
    (re.compile(r"[A-Za-z]"), "letters"),
    (re.compile(r"\A\s|\s\Z"), "blanks around it"),
)
"""What is refused, and the word for it; the first one that is found is told."""
_KINDS = {
    PhoneNumberType.FIXED_LINE: "fixed_line",
    PhoneNumberType.MOBILE: "mobile",
    PhoneNumberType.FIXED_LINE_OR_MOBILE: "fixed_line",
    PhoneNumberType.VOIP: "voip",
    PhoneNumberType.TOLL_FREE: "toll_free",
    PhoneNumberType.UAN: "uan",
    PhoneNumberType.SHARED_COST: "shared_cost",
    PhoneNumberType.PREMIUM_RATE: "premium_rate",
    PhoneNumberType.PERSONAL_NUMBER: "personal_number",
    PhoneNumberType.PAGER: "pager",
    PhoneNumberType.VOICEMAIL: "voicemail",
}


class NumberError(BridgeError):
    """The text is no number that could be dialled; says why."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number in its one form (`e164`: +4930…).

    `kind`: fixed_line, mobile, voip, toll_free, uan, shared_cost, premium_rate, …, unknown, or invalid (no number that
    its country gives out). `zones`: time zones in which it may be, as far as the number tells; empty when it does not.
    """

    e164: str
    kind: str
    zones: tuple[str, ...]


def read(text: str, region: str | None = None) -> Number:
    """The number in `text`. `region`: country (ISO 3166, such as DE) of numbers without a plus.

    Raises NumberError with the reason: it is not dialled then.
    """
    _shape(text)
    if region is None and not text.startswith("+"):
        raise NumberError("a number without + and country code needs outbound.region")
    try:
        parsed = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as error:
        raise NumberError(f"not a number: {str(error).rpartition(') ')[2]}") from None
    e164 = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if parsed.extension or not E164.match(e164) or not phonenumbers.is_possible_number(parsed):
        raise NumberError("not a whole number: too short, too long, or with an extension")
    valid = phonenumbers.is_valid_number(parsed)
    kind = _KINDS.get(phonenumbers.number_type(parsed), "unknown") if valid else "invalid"
    zones = tuple(zone for zone in time_zones_for_number(parsed) if zone != "Etc/Unknown")
    return Number(e164, kind, zones)


def _shape(text: str) -> None:
    if not text:
        raise NumberError("no number")
    if len(text) > MAX_CHARS:
        raise NumberError(f"longer than {MAX_CHARS} characters")
    for pattern, word in _FOREIGN:
        if pattern.search(text):
            raise NumberError(f"{word}: digits, blanks and ( ) . / - only, after one + at most")
    if not _SHAPE.match(text):
        raise NumberError("not a number: digits, blanks and ( ) . / - only, after one + at most")
