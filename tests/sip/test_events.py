import dataclasses
import typing

import pytest

from bridge.sip import events
from bridge.sip.events import Invite, Party

FROM = Party("100", "phone.example")
TO = Party("200", "bridge.example")


def test_the_caller_is_the_asserted_identity_when_there_is_one():
    asserted = Party("+4930", "trunk.example")
    assert Invite("id", "sip:200@b", FROM, TO, asserted=asserted).caller is asserted
    assert Invite("id", "sip:200@b", FROM, TO).caller is FROM


def test_the_called_party_is_tos_when_there_is_no_request_uri():
    assert Invite("id", "", FROM, TO).called is TO
    assert Invite("id", "", FROM, TO, request_party=Party("", "b")).called is TO
    assert Invite("id", "", FROM, TO, request_party=FROM).called is FROM


@pytest.mark.parametrize("kind", typing.get_args(events.LegEvent))
def test_leg_events_are_immutable_values_that_may_cross_threads(kind):
    assert kind.__dataclass_params__.frozen
    assert not hasattr(kind, "__dict__") or "__slots__" in vars(kind)
    allowed = (str, int, float, bool, events.HangUpBy, events.DtmfMethod, events.MediaStats, Invite)
    assert all(field.type in allowed for field in dataclasses.fields(kind))
