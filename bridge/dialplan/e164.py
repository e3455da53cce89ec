"""Telephone numbers in one form: "030 1234567", "0049301234567" and "tel:+49-30-1234567" are all "+49301234567".

    normalised("030 1234567", "DE") ──► "+49301234567"        normalised("100", "DE") ──► "100"

What is no number ("anonymous", a name), or an internal one, stays as it is. Internal is what begins with neither +,
nor the way out of the country (00), nor the national prefix (0); where the national form has no prefix (US, ES, IT),
what is no valid number of the country. A number in another form may be one that has been spoofed: nothing here proves
anything.

Worker-safe: `phonenumbers` (about 2 MB, 10 to 20 µs a number) is imported at the first number of a plan that names its
country. Pure: no I/O, any thread.
"""

import re
import unicodedata
from functools import lru_cache
from types import ModuleType
from typing import Any
from urllib.parse import unquote

MAX_CHARS = 256
MIN_INTERNATIONAL, MAX_INTERNATIONAL = 7, 15
"""Digits after the + (ITU-T E.164 section 6); shorter ones are special numbers of networks."""
MIN_BARE_INTERNATIONAL = 10
"""Digits of a number that begins with the country's code, but without +."""
MIN_NATIONAL_WITHOUT_PREFIX = 7

_SCHEME = re.compile(r"(?:tel|sips?):", re.IGNORECASE)
_CONTEXT = re.compile(r";phone-context=([^;]*)", re.IGNORECASE)
_EXTENSION = re.compile(r"\s*(?:;ext=|ext\.?|x)\s*[0-9]{1,7}\Z", re.IGNORECASE)
_PUNCTUATION = re.compile(r"[\s().\-/\u2010-\u2015\u2212\u00a0]+")
_NUMBER = re.compile(r"\+?[0-9]{3,20}\Z")


@lru_cache(maxsize=4096)
def normalised(text: str, country: str) -> str:
    """E.164 with a +, or `text` as it is. `country`: ISO 3166 of numbers without +; "" changes nothing."""
    if not country:
        return text
    digits = _plain(text[:MAX_CHARS])
    if not _NUMBER.match(digits):
        return text
    internal = digits if ";" in text or _SCHEME.match(text) else text
    return _e164(digits, country) or internal


@lru_cache(maxsize=65536)
def normalised_pattern(pattern: str, country: str) -> str:
    """The same for a pattern of a plan: a whole number, or the beginning of one ("0049*" is "+49*")."""
    if not country or not pattern.endswith("*"):
        return normalised(pattern, country)
    start = _PUNCTUATION.sub("", pattern[:-1])
    if not re.fullmatch(r"\+?[0-9]+", start):
        return pattern
    way_out, national, code = _dialling(country)
    if start.startswith("+"):
        return f"{start}*"
    found = re.match(way_out, start) if way_out else None
    if found:
        return f"+{start[found.end() :]}*"
    if national and start.startswith(national) and len(start) > len(national):
        own_code = (
            code if national != code else ""
        )  # in North America the national prefix is the country's code
        return f"+{own_code}{start[len(national) :] if own_code else start}*"
    return f"{start}*"


def countries() -> frozenset[str]:
    """The countries there are, as ISO 3166 codes."""
    return frozenset(_library().SUPPORTED_REGIONS)


def is_number(text: str) -> bool:
    """Whether a text is digits and the marks people put between them."""
    return bool(_NUMBER.match(_plain(text[:MAX_CHARS])))


def _plain(text: str) -> str:
    """Digits and a leading +, whatever form they came in; other text comes out as something that is no number."""
    text = unquote(_SCHEME.sub("", text.strip(), count=1)).partition("@")[0]
    context = _CONTEXT.search(text)
    text = _EXTENSION.sub("", _CONTEXT.sub("", text)).partition(";")[0]
    text = "".join(str(unicodedata.decimal(char, char)) for char in text)
    text = _PUNCTUATION.sub("", text)
    if context and context[1].startswith("+") and not text.startswith("+"):
        return _PUNCTUATION.sub("", context[1]) + text  # RFC 3966 section 5.1.4
    return text


def _e164(digits: str, country: str) -> str:
    """Nothing for what is not a number that can be called from another country."""
    lib = _library()
    try:
        number = lib.parse(digits, country, keep_raw_input=True)
    except lib.NumberParseException:
        return ""
    source, sources = number.country_code_source, lib.CountryCodeSource
    if source in {sources.FROM_NUMBER_WITH_PLUS_SIGN, sources.FROM_NUMBER_WITH_IDD}:
        fits = lib.is_possible_number(number) and len(digits) - digits.startswith("+") >= MIN_INTERNATIONAL
    elif source == sources.FROM_NUMBER_WITHOUT_PLUS_SIGN:
        fits = len(digits) >= MIN_BARE_INTERNATIONAL and lib.is_valid_number(number)
    else:
        fits = _is_national(number, digits, country)
    return str(lib.format_number(number, lib.PhoneNumberFormat.E164)) if fits else ""


def _is_national(number: Any, digits: str, country: str) -> bool:
    lib = _library()
    _, prefix, code = _dialling(country)
    if prefix and prefix != code:
        whole = lib.is_possible_number_with_reason(number) == lib.ValidationResult.IS_POSSIBLE
        return digits.startswith(prefix) and whole
    return len(digits) >= MIN_NATIONAL_WITHOUT_PREFIX and bool(lib.is_valid_number(number))


@lru_cache(maxsize=8)
def _dialling(country: str) -> tuple[str, str, str]:
    """(regex of the way out of the country, prefix of national numbers, the country's code)."""
    lib = _library()
    metadata = lib.PhoneMetadata.metadata_for_region(country, None)
    way_out = metadata.international_prefix if metadata is not None else ""
    prefix = metadata.national_prefix if metadata is not None else ""
    return way_out or "", prefix or "", str(lib.country_code_for_region(country))


def _library() -> ModuleType:
    import phonenumbers  # noqa: PLC0415  # a worker whose plan names no country does without

    return phonenumbers
