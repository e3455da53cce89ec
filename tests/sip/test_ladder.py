"""SIP messages as lines of a record: what is kept of them, and what never is."""

import pytest

from bridge.sip.ladder import MAX_DIALOGS, MAX_LINES, REDACTED, Book, read, redacted

INVITE = (
    "INVITE sip:100@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9\r\nFrom: <sip:+491:pw@x>;tag=a\r\n"
    "To: <sip:100@y>\r\nCall-ID: abc@x\r\nCSeq: 7 INVITE\r\n"
    'Authorization: Digest username="u",\r\n response="s3cret"\r\n'
    "X-Sipbridge-Source: 1.2.3.4\r\nContent-Type: application/sdp\r\nContent-Length: 99\r\n\r\n"
    "v=0\r\na=crypto:1 AES inline:KEY\r\nm=audio 4000 RTP/AVP 0\r\n"
)
INFO = (
    "INFO sip:x SIP/2.0\r\nCall-ID: abc\r\nCSeq: 3 INFO\r\nContent-Type: application/dtmf-relay\r\n"
    "\r\nSignal=7\r\nDuration=80\r\n"
)


def line(text, **more):
    return read(text.encode(), sent=False, mono=1.5, **more)


def test_a_request_is_its_method_and_a_response_its_status_and_method():
    assert line(INVITE) == (
        "abc@x",
        {"mono": 1.5, "sent": False, "what": "INVITE", "cseq": "7", "reason": ""},
    )
    busy = "SIP/2.0 486 Busy Here\r\ni: abc\r\nCSeq: 7 INVITE\r\n\r\n"
    assert read(busy.encode(), sent=True, mono=2.0) == (
        "abc",
        {"mono": 2.0, "sent": True, "what": "486 INVITE", "cseq": "7", "reason": "Busy Here"},
    )


def test_a_reason_header_says_more_than_the_phrase():
    text = 'BYE sip:x SIP/2.0\r\nCall-ID: a\r\nReason: Q.850;cause=16;text="bye"\r\nCSeq: 2 BYE\r\n\r\n'
    assert line(text)[1]["reason"] == 'Q.850;cause=16;text="bye"'


@pytest.mark.parametrize(
    "text",
    [
        "", "\r\n\r\n", "garbage", "OPTIONS sip:x SIP/2.0\r\nCall-ID: a\r\nCSeq: 1 OPTIONS\r\n\r\n",
        "SIP/2.0 200 OK\r\nCall-ID: a\r\nCSeq: 1 REGISTER\r\n\r\n", "BYE sip:x SIP/2.0\r\nCSeq: 1 BYE\r\n\r\n",
        "BYE sip:x SIP/2.0\r\nCall-ID: a\r\n\r\n",
    ],
)  # fmt: skip
def test_what_is_of_no_call_is_not_kept(text):
    assert line(text) is None


def test_the_text_is_kept_only_where_it_is_wanted_and_without_secrets():
    assert "text" not in line(INVITE)[1]
    text = line(INVITE, whole=True)[1]["text"]
    assert text.startswith("INVITE sip:100@10.0.0.1 SIP/2.0\r\n")
    assert "m=audio 4000" in text
    for secret in ("s3cret", "username", ":pw@", "inline:KEY", "1.2.3.4"):
        assert secret not in text, secret
    assert text.count(REDACTED) == 4


def test_digits_are_never_kept():
    assert "Signal=7" not in redacted(INFO)
    assert redacted(INFO).endswith(REDACTED)
    assert "Signal=7" not in redacted(INFO.replace("\r\n", "\n"))
    accepts = INFO.replace("CSeq", "Accept: application/sdp\r\nCSeq")
    assert "Signal=7" not in redacted(accepts), "what its sender would take is not what it sent"
    short = INVITE.replace("Content-Type: application/sdp", "c: application/SDP;x=y")
    assert "m=audio 4000" in redacted(short)


def test_a_text_is_bounded_and_bytes_may_be_anything():
    assert len(redacted("INVITE sip:x SIP/2.0\r\nX: " + "y" * 99_999)) == 4000
    assert read(b"\xff" * 5000, sent=False, mono=0.0, whole=True) is None


def test_a_book_gives_what_is_new_of_a_dialog_once():
    book = Book()
    book.add("a", {"what": "INVITE"})
    book.add("b", {"what": "INVITE"})
    book.add("a", {"what": "ACK"})
    assert [one["what"] for one in book.take("a")] == ["INVITE", "ACK"]
    assert book.take("a") == book.take("c") == []
    book.add("a", {"what": "BYE"})
    assert [one["what"] for one in book.take("a")] == ["BYE"]


def test_a_peer_that_sends_for_ever_fills_nothing():
    book = Book()
    for _ in range(3):
        for _ in range(MAX_LINES):
            book.add("a", {})
        book.take("a")
    book.add("a", {})
    assert book.take("a") == []


def test_dialogs_that_nobody_takes_are_forgotten_the_oldest_first():
    book = Book()
    for number in range(MAX_DIALOGS + 5):
        book.add(str(number), {"n": number})
    assert book.take("4") == []
    assert book.take("5") == [{"n": 5}]
