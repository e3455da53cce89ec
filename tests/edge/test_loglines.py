from hypothesis import given
from hypothesis import strategies as st

from bridge.edge.loglines import LogLine, kamailio, rtpengine


def test_a_line_of_our_own_configuration_is_an_event_with_fields():
    line = " 7(1234) WARNING: {abc@host} <script>: edge.banned source=192.0.2.7"
    assert kamailio(line) == LogLine(
        "warning", "edge.banned", {"sip_call_id": "abc@host", "source": "192.0.2.7"}
    )


def test_kamailios_own_lines_keep_module_and_text():
    line = " 0(1) ERROR: dispatcher [dispatch.c:1602]: ds_load_add(): dst unique id not set for 1 (c3)"
    said = kamailio(line)
    assert (said.level, said.event, said.fields["module"]) == ("error", "kamailio.said", "dispatcher")
    assert said.fields["message"].startswith("ds_load_add()")


def test_what_has_no_form_is_said_quietly():
    assert kamailio("Listening on") == LogLine("debug", "kamailio.said", {"message": "Listening on"})
    assert rtpengine("o=- 1 1 IN IP4 192.0.2.1").level == "debug"


def test_what_somebody_else_wrote_into_a_line_is_no_event_of_ours():
    assert kamailio(" 7(1) ERROR: core [x.c:1]: edge.banned source=1").event == "kamailio.said"
    assert kamailio(' 7(1) ERROR: <script>: edge.banned "x y" z').event == "kamailio.said"


def test_rtpengines_lines_keep_the_call():
    said = rtpengine(
        "ERR: [abc@host/00/1 port 30000]: [srtp] Discarded invalid SRTP packet: authentication failed"
    )
    assert (said.level, said.fields["sip_call_id"]) == ("error", "abc@host")


@given(st.text(max_size=300))
def test_any_text_is_a_line(text):
    assert kamailio(text).event
    assert rtpengine(text).event
