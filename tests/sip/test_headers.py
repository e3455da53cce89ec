import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.sip.events import Party, SdpFacts
from bridge.sip.headers import (
    DIGITS,
    MAX_HEADERS,
    MAX_VALUE_CHARS,
    canonical_name,
    clean,
    info_digit,
    parse_invite,
    parse_party,
    parse_sdp,
    reason_text,
    tag_of,
    verstat,
)

SDP = (
    "v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nc=IN IP4 10.0.0.9\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 8 0 97 101\r\na=rtpmap:97 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n"
    "a=ptime:30\r\na=sendonly\r\nm=video 4002 RTP/AVP 31\r\na=ptime:90\r\na=inactive\r\n"
)
INVITE = (
    "INVITE sip:100@bridge.example SIP/2.0\r\n"
    "Via: SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKx\r\n"
    'f: "Ann \\"A\\" Lee" <sip:+4930123;phone-context=de@trunk.example;user=phone>;tag=1\r\n'
    "t: <sip:100@bridge.example>\r\n"
    "i: abc@10.0.0.9\r\n"
    "CSeq: 1 INVITE\r\n"
    "user-agent: Test\x07Phone\r\n"
    "P-Asserted-Identity: <tel:+4930999>\r\n"
    "Diversion: <sip:200@bridge.example>;reason=no-answer\r\n"
    "x-customer-id: a\r\n b\r\n"
    "\r\n"
)


def test_a_whole_invite_becomes_typed_clean_facts():
    invite = parse_invite(INVITE + SDP, "10.0.0.9:5060")
    assert invite.sip_call_id == "abc@10.0.0.9"
    assert invite.request_uri == "sip:100@bridge.example"
    assert (invite.from_party.user, invite.from_party.host) == ("+4930123", "trunk.example")
    assert invite.from_party.display == 'Ann "A" Lee'
    assert invite.to_party.user == "100"
    assert invite.user_agent == "TestPhone"
    assert invite.source == "10.0.0.9:5060"
    assert invite.diversion is not None
    assert invite.diversion.user == "200"


def test_an_asserted_identity_outranks_from():
    assert parse_invite(INVITE).caller.user == "+4930999"
    assert parse_invite(INVITE.replace("P-Asserted-Identity", "X-Other")).caller.user == "+4930123"


def test_folded_lines_are_one_value_and_names_are_canonical():
    headers = parse_invite(INVITE).headers
    assert headers["X-Customer-ID"] == "a b"
    assert headers["CSeq"] == "1 INVITE"
    assert headers["Call-ID"] == "abc@10.0.0.9"


def test_an_invite_without_body_has_no_sdp_facts():
    assert parse_invite(INVITE).sdp is None
    assert parse_invite(INVITE + "\r\n").sdp is None


def test_the_sdp_facts_are_those_of_the_first_audio_stream():
    assert parse_sdp(SDP) == SdpFacts(
        codecs=("PCMA", "PCMU", "OPUS"), ptime_ms=30, direction="sendonly", address="10.0.0.9", port=4000,
        telephone_event=True,
    )  # fmt: skip


def test_video_before_audio_does_not_hide_the_audio():
    facts = parse_sdp("m=video 1 RTP/AVP 31\nm=audio 2 RTP/AVP 0\n")
    assert (facts.codecs, facts.port) == (("PCMU",), 2)


@pytest.mark.parametrize(
    ("line", "field", "value"),
    [
        ("a=ptime:abc", "ptime_ms", 0),
        ("a=ptime:99999999999999999999", "ptime_ms", 0),
        ("a=ptime:²", "ptime_ms", 0),
        ("a=ptime:-20", "ptime_ms", 0),
        ("a=rtpmap:0", "codecs", ("PCMU",)),
        ("c=", "address", ""),
        ("a=unknown", "direction", "sendrecv"),
    ],
)
def test_unreadable_sdp_values_keep_their_defaults(line, field, value):
    assert getattr(parse_sdp(f"m=audio 2 RTP/AVP 0\n{line}\n"), field) == value


def test_a_broken_media_line_is_no_audio():
    assert parse_sdp("m=audio\nm=audio x\n") == SdpFacts()


@pytest.mark.parametrize(
    ("value", "party"),
    [
        ("<sip:alice@a.example>", ("alice", "a.example", "")),
        ("Alice <sip:alice@a.example:5070;transport=tcp>", ("alice", "a.example:5070", "Alice")),
        ("sip:bob@b.example;tag=9", ("bob", "b.example", "")),
        ("<sips:100:secret@a.example>", ("100", "a.example", "")),
        ("<tel:+49-30-1;phone-context=x>", ("+49-30-1", "", "")),
        ("<sip:a.example>", ("", "a.example", "")),
        ("<sip:%2B49%2030@a.example>", ("+49 30", "a.example", "")),
        ('"<sip:evil@x>" <sip:good@y>', ("good", "y", "<sip:evil@x>")),
        ("<mailto:x@y>", ("", "", "")),
        ("", ("", "", "")),
        ("<sip:anonymous@anonymous.invalid>", ("anonymous", "anonymous.invalid", "")),
    ],
)
def test_parties_are_read_in_every_form(value, party):
    parsed = parse_party(value)
    assert (parsed.user, parsed.host, parsed.display) == party


def test_escapes_cannot_smuggle_control_characters_into_a_number():
    party = parse_party("<sip:%0d%0aINVITE%00x@a.example>")
    assert party.user == "INVITEx"


def test_values_are_cleaned_and_capped():
    assert clean("a\x00b\u202ec\r\n") == "abc"
    assert clean("x" * 999) == "x" * MAX_VALUE_CHARS
    assert clean("x y", 2) == "x"


@pytest.mark.parametrize(
    ("name", "canonical"),
    [
        ("call-id", "Call-ID"),
        ("V", "Via"),
        ("X-SIP-UUI", "X-SIP-UUI"),
        ("www-authenticate", "WWW-Authenticate"),
        ("", ""),
    ],
)
def test_header_names_have_one_spelling(name, canonical):
    assert canonical_name(name) == canonical


def test_the_number_of_headers_is_bounded():
    flood = "INVITE sip:x SIP/2.0\r\n" + "".join(f"X-{n}: 1\r\n" for n in range(5000)) + "\r\n"
    assert len(parse_invite(flood).headers) == MAX_HEADERS


def test_a_line_without_a_colon_is_skipped_and_a_leading_fold_is_harmless():
    invite = parse_invite("INVITE sip:x SIP/2.0\r\n folded first\r\nnonsense\r\nTo: <sip:1@h>\r\n\r\n")
    assert dict(invite.headers) == {"To": "<sip:1@h>"}


def test_a_message_that_is_cut_after_a_line_is_read_as_far_as_it_goes():
    assert parse_invite("INVITE sip:x SIP/2.0\nTo: <sip:1@h>\n").to_party.user == "1"


def info(kind, body):
    return f"INFO sip:x SIP/2.0\r\nContent-Type: {kind}\r\nCSeq: 2 INFO\r\n\r\n{body}"


@pytest.mark.parametrize(
    ("body", "digit"),
    [
        ("Signal=5\r\nDuration=160\r\n", "5"),
        ("Signal=5", "5"),
        ("Duration=160\r\nsignal = #\r\n", "#"),
        ("Signal= *\nDuration= 160", "*"),
        ("Signal=d", "D"),
        ("Signal=10\r\n", "*"),
        ("Signal=", ""),
        ("Signal", ""),
        ("Signal=55\r\n", ""),
        ("Signal=%n", ""),
        ("", ""),
        ("\x00\xff", ""),
    ],
)
def test_a_digit_in_an_info_is_found_in_every_form(body, digit):
    assert info_digit(info("application/dtmf-relay", body)) == digit


def test_a_bare_digit_and_foreign_bodies_are_told_apart():
    assert info_digit(info("Application/DTMF; x=y", " 7\r\n")) == "7"
    assert info_digit(info("application/dtmf", "77")) == ""
    assert info_digit(info("text/plain", "Signal=5")) is None
    assert info_digit("") is None


@given(st.text(max_size=80))
def test_no_info_makes_the_reader_raise(body):
    digit = info_digit(info("application/dtmf-relay", body))
    assert digit is not None
    assert digit == "" or digit in DIGITS


@pytest.mark.parametrize(
    ("value", "tag"),
    [
        ("<sip:a@b>;tag=x1", "x1"),
        ('"Ann;tag=no" <sip:a@b;tag=no>;x=y; TAG = x2 ;z', "x2"),
        ("sip:a@b;tag=x3", "x3"),
        ("<sip:a@b;tag=no>", ""),
        ("", ""),
    ],
)
def test_tags_are_found_outside_the_uri(value, tag):
    assert tag_of(value) == tag


PASSED = "verstat=TN-Validation-Passed"


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (f"From: <sip:+491;{PASSED}@a;user=phone>;tag=1", "TN-Validation-Passed"),
        (f"From: <sip:+491@a;{PASSED}>;tag=1", "TN-Validation-Passed"),
        (f'From: ";{PASSED}" <sip:+491;verstat=TN-Validation-Failed@a>;tag=1', "TN-Validation-Failed"),
        (f'From: ";{PASSED}" <sip:+491@a>;tag=1', ""),
        (f'From: "a\\" <sip:x;{PASSED}>" <sip:+491@a>;tag=1', ""),
        (f"From: <sip:+491@a>;{PASSED};tag=1", ""),
        (f"From: sip:+491@a;{PASSED};tag=1", ""),
        (f"From: <sip:+491@a?x=;{PASSED}>;tag=1", ""),
        (f"From: <sip:+491;{PASSED};verstat=TN-Validation-Failed@a>;tag=1", ""),
        (f"From: <sip:+491;{PASSED}@a>;tag=1\r\nP-Asserted-Identity: <sip:+492@a>", ""),
        (f"P-Asserted-Identity: <sip:+491;{PASSED}@a>\r\nP-Asserted-Identity: <tel:+491>", ""),
        (f"P-Asserted-Identity: <sip:+491;{PASSED}@a>, <tel:+491>", ""),
        (f'P-Asserted-Identity: "Doe, Ann" <sip:+491;{PASSED}@a>', "TN-Validation-Passed"),
        (f'P-Asserted-Identity: "{"x" * 300}" <sip:+491;{PASSED}@a>', "TN-Validation-Passed"),
    ],
)
def test_verstat_is_a_parameter_of_the_callers_uri_and_nothing_else(lines, found):
    message = f"INVITE sip:100@b SIP/2.0\r\nFrom: <sip:a@b>;tag=1\r\n{lines}\r\nTo: <sip:100@b>\r\n\r\n"
    assert verstat(parse_invite(message), (), trunk_trusted=True) == found


def test_the_dialog_of_a_request_is_read_before_anything_is_cut():
    many = "a:\r\n" * 200
    name = '"' + "x" * 300 + '"'
    found = parse_invite(
        f"INFO sip:a@b SIP/2.0\r\n{many}From: {name} <sip:a@b>;tag=f1\r\nTo: {name} <sip:c@d>;tag=t1\r\n"
        "Call-ID: c1\r\nCSeq: 7 INFO\r\nSubject: late\r\n\r\n"
    )
    assert (found.from_tag, found.to_tag, found.sip_call_id) == ("f1", "t1", "c1")
    assert found.headers["CSeq"] == "7 INFO"
    assert "Subject" not in found.headers


def printable(text):
    return text == clean(text, 10_000)


def strings_of(party):
    return [party.user, party.host, party.display, party.uri]


@given(st.text(alphabet=st.characters(), max_size=600))
@example("INVITE")
@example("\n\n")
@example('INVITE x SIP/2.0\nFrom: "<<<"">;<sip:@@@;;>\n\nm=audio 1 2 3\na=ptime')
def test_no_text_makes_the_reader_raise_and_nothing_dirty_comes_out(message):
    invite = parse_invite(message, message)
    texts = [invite.sip_call_id, invite.request_uri, invite.user_agent, invite.source]
    texts += strings_of(invite.from_party) + strings_of(invite.to_party) + list(invite.headers.values())
    assert all(printable(text) and len(text) <= MAX_VALUE_CHARS for text in texts)


HEADER_VALUES = st.lists(
    st.sampled_from(
        ['"', "<", ">", "\\", "sip:", "tel:", "@", ";", ":", "%41", "%ff", "a", "+49", " ", "\t", "\x00"]
    ),
    max_size=12,
).map("".join)


@given(HEADER_VALUES)
def test_no_address_makes_the_reader_raise(value):
    party = parse_party(value)
    assert isinstance(party, Party)
    assert all(printable(text) for text in strings_of(party))


SDP_LINES = st.lists(
    st.sampled_from(
        ["m=audio 5 RTP/AVP 0 8", "m=video 1 RTP/AVP 31", "m=audio", "c=IN IP4 1.2.3.4", "c=", "a=ptime:20",
         "a=rtpmap:0 x", "a=rtpmap:", "a=inactive", "=", "a", "m=audio 99999999999 RTP/AVP 0"]
    ),
    max_size=20,
)  # fmt: skip


@given(SDP_LINES)
def test_no_sdp_makes_the_reader_raise(lines):
    facts = parse_sdp("\n".join(lines))
    assert facts.ptime_ms in {0, 20}
    assert facts.direction in {"sendrecv", "inactive"}


@pytest.mark.parametrize(
    ("header", "words"),
    [
        (' SIP;cause=200;text="Call completed elsewhere"', "Call completed elsewhere"),
        ("Q.850 ;cause=16 ;TEXT=Normal", "Normal"),
        ("Q.850;cause=16", "Q.850;cause=16"),
        ('SIP;text=""', ""),
        ("", ""),
    ],
)
def test_a_reason_header_is_its_text_or_itself(header, words):
    assert reason_text(header) == words


@pytest.mark.parametrize("name", ["Authorization", "proxy-authorization", "AUTHORIZATION"])
def test_credentials_stay_out_of_what_is_recorded(name):
    invite = parse_invite(INVITE.replace("CSeq", f'{name}: Digest username="a", response="secret"\r\nCSeq'))
    assert "secret" not in repr(invite)
    assert invite.headers["CSeq"] == "1 INVITE"


def test_a_password_in_a_uri_stays_out_of_what_is_recorded():
    text = INVITE.replace("sip:100@bridge.example SIP/2.0", "sip:100:secret@bridge.example SIP/2.0")
    text = text.replace("CSeq", "Contact: <sip:ann:secret@10.0.0.9:5060>, <sips:b:secret@h>\r\nCSeq")
    invite = parse_invite(text)
    assert "secret" not in repr(invite)
    assert invite.headers["Contact"] == "<sip:ann@10.0.0.9:5060>, <sips:b@h>"
    assert invite.request_uri == "sip:100@bridge.example"
    assert invite.headers["Via"] == "SIP/2.0/UDP 10.0.0.9:5060;branch=z9hG4bKx"


@pytest.mark.parametrize(
    ("request_uri", "called"),
    [
        ("sip:300@bridge.example;user=phone", "300"),
        ("tel:+4930300;phone-context=x", "+4930300"),
        ("sip:bridge.example:5070", "100"),
        ("nonsense", "100"),
        ("", "100"),
    ],
)
def test_the_called_number_is_the_request_uris_when_it_names_one_else_tos(request_uri, called):
    """RFC 3261 section 8.1.1.2: after a diversion To still says what was dialled first."""
    assert (
        parse_invite(INVITE.replace("sip:100@bridge.example SIP", f"{request_uri} SIP")).called.user == called
    )


@pytest.mark.parametrize(
    ("source", "line", "found"),
    [
        (
            "10.0.0.5:5060",
            "P-Asserted-Identity: <sip:+491@t;verstat=TN-Validation-Passed>",
            "TN-Validation-Passed",
        ),
        ("10.0.0.5:5060", "X: y", "TN-Validation-Failed"),
        (
            "[fd00::5]:5060",
            "P-Asserted-Identity: <tel:+491;verstat=TN-Validation-Passed>",
            "TN-Validation-Passed",
        ),
        ("10.0.1.5:5060", "P-Asserted-Identity: <sip:+491@t;verstat=TN-Validation-Passed>", ""),
        ("", "P-Asserted-Identity: <sip:+491@t;verstat=TN-Validation-Passed>", ""),
        ("nonsense", "P-Asserted-Identity: <sip:+491@t;verstat=TN-Validation-Passed>", ""),
    ],
)
def test_verstat_counts_only_from_a_trusted_trunk(source, line, found):
    message = (
        "INVITE sip:100@b SIP/2.0\r\nFrom: <sip:+491@a;verstat=TN-Validation-Failed>;tag=1\r\nTo: <sip:100@b>\r\n"
        f"Call-ID: c\r\n{line}\r\n\r\n"
    )
    assert verstat(parse_invite(message, source), ("10.0.0.0/24", "fd00::/8")) == found
    assert verstat(parse_invite(message, source), ()) == ""


@pytest.mark.parametrize(
    "message",
    [
        INVITE.removesuffix("\r\n") + "\r\r\nX-Sipbridge-Trunk: pbx\r\n",
        INVITE.removesuffix("\r\n") + "\rX: y\r\nX-Sipbridge-Trunk: pbx\r\n\r\n",
        INVITE.replace("SIP/2.0\r\n", "SIP/2.0\r\n X-Sipbridge-Trunk: pbx\r\n", 1),
        INVITE.removesuffix("\r\n") + "X: y\rX-Sipbridge-Trunk: pbx\r\n\r\n",
    ],
    ids=["lone-cr-line", "lone-cr", "leading-space", "cr-in-a-line"],
)
def test_what_the_edge_took_for_a_body_or_for_another_header_is_no_word_of_the_edge(message):
    assert parse_invite(message).edge_word.trunk == ""
    assert parse_invite(message).sip_call_id == "abc@10.0.0.9"
