import pytest
from pydantic import ValidationError

from bridge.settings_observe import Tracing


def test_traces_are_off_and_tell_nothing_personal_unless_asked():
    tracing = Tracing()
    assert (tracing.enabled, tracing.numbers, tracing.transcripts, tracing.sample) == (
        False,
        False,
        False,
        1.0,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"endpoint": "localhost:4318"},
        {"endpoint": "grpc://collector:4317"},
        {"sample": 1.5},
        {"headers_env": {"bad header": "TOKEN"}},
        {"headers_env": {"authorization": "not a name"}},
        {"queue": 1},
        {"verbose": True},
    ],
)
def test_what_cannot_work_is_refused(wrong):
    with pytest.raises(ValidationError):
        Tracing(**wrong)
