import io
import json
import logging

import pytest
import structlog

from bridge.records.log import configure, mask


@pytest.fixture
def stream():
    yield io.StringIO()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


def test_a_line_is_one_json_object_with_the_process_in_it(stream):
    configure(process="control", stream=stream)
    structlog.get_logger("x").info("plan loaded", routes=3, path=object)
    line = json.loads(stream.getvalue())
    assert (line["event"], line["routes"], line["process"], line["level"]) == (
        "plan loaded",
        3,
        "control",
        "info",
    )
    assert line["timestamp"].endswith("Z")


@pytest.mark.parametrize("style", ["json", "console"])
def test_personal_data_is_masked_at_any_depth(stream, style):
    configure("info", style, stream=stream)
    structlog.get_logger("x").warning(
        "call", pii_from="+4930123456", call={"pii_to": "5551234", "id": "c1"}, n=1
    )
    assert "+4930123456" not in stream.getvalue()
    assert "5551234" not in stream.getvalue()
    assert "***56" in stream.getvalue()
    assert "c1" in stream.getvalue()


def test_the_operator_may_keep_personal_data(stream):
    configure(redact=False, stream=stream)
    structlog.get_logger("x").info("call", pii_from="+4930123456")
    assert json.loads(stream.getvalue())["pii_from"] == "+4930123456"


def test_lines_below_the_level_are_not_written(stream):
    configure("warning", stream=stream)
    structlog.get_logger("x").info("chatter")
    assert stream.getvalue() == ""


def test_a_console_line_reads_like_a_sentence_and_keeps_the_traceback(stream):
    configure("info", "console", process="control", stream=stream)
    try:
        int("x")
    except ValueError:
        structlog.get_logger("x").exception("load failed", file="a.yaml")
    first, *trace = stream.getvalue().splitlines()
    assert first.endswith("control error   load failed  file=a.yaml")
    assert trace[-1].startswith("ValueError: invalid literal")
    structlog.get_logger("x").info("done")
    assert stream.getvalue().endswith("control info    done\n")


def test_a_console_line_keeps_the_worker_quotes_what_is_not_one_word_and_leaves_out_what_is_empty(stream):
    configure("info", "console", process="control", stream=stream)
    structlog.get_logger("x").info(
        "worker.connected",
        worker=3,
        reason="not a word",
        call_id="",
        boot=None,
        calls=0,
        odd='a"b',
        path="/a\nb",
    )
    assert stream.getvalue().split("worker.connected  ")[1] == (
        'worker=3 reason="not a word" calls=0 odd="a\\"b" path="/a\\nb"\n'
    )


@pytest.mark.parametrize("style", ["json", "console"])
def test_what_libraries_log_has_the_form_of_our_own_lines(stream, style):
    configure("info", style, process="control", stream=stream)
    try:
        int("x")
    except ValueError:
        logging.getLogger("websockets.server").exception("opening handshake failed")
    first, *rest = stream.getvalue().splitlines()
    if style == "json":
        line = json.loads(first)
        assert (line["event"], line["library"]) == ("library.said", "websockets.server")
        assert (line["message"], line["level"], line["process"]) == (
            "opening handshake failed",
            "error",
            "control",
        )
        assert "ValueError" in line["exception"]
        assert rest == []
    else:
        assert first.endswith(
            'control error   library.said  library=websockets.server message="opening handshake failed"'
        )
        assert rest[-1].startswith("ValueError")


@pytest.mark.parametrize(
    ("value", "masked"), [("+4930123456", "***56"), ("1234", "***"), ("", "***"), (5, "***")]
)
def test_short_values_are_hidden_completely(value, masked):
    assert mask(value) == masked
