"""What a worker gets when it asks for a trunk's password."""

import pytest

from bridge.control_trunks import TrunkSecrets
from bridge.dialplan.plan import Plan
from bridge.errors import LinkError
from bridge.trunk import Digest, Trunk


def secrets(digest, environ=None, plan=True):
    compiled = Plan((), (), trunks=(Trunk("pbx", digest=digest), Trunk("open")))
    return TrunkSecrets(lambda: compiled if plan else None, {"PBX": "s3cret"} if environ is None else environ)


async def test_with_a_realm_only_the_hash_leaves_control():
    answer = await secrets(Digest("1001", "pbx.test", "PBX")).answer({"trunk": "pbx"})
    # RFC 2617 section 3.2.2.2: MD5("1001:pbx.test:s3cret")
    assert answer == {
        "user": "1001",
        "realm": "pbx.test",
        "value": "53231e6442ac000ede727f7783590a8e",
        "ha1": True,
    }


async def test_without_a_realm_it_is_the_password():
    answer = await secrets(Digest("1001", "", "PBX")).answer({"trunk": "pbx"})
    assert answer == {"user": "1001", "realm": "", "value": "s3cret", "ha1": False}


@pytest.mark.parametrize("name", ["open", "nobody", ""])
async def test_a_trunk_without_password_gets_none(name):
    with pytest.raises(LinkError, match="no trunk with a password"):
        await secrets(Digest("1001", "", "PBX")).answer({"trunk": name})


async def test_without_a_plan_there_is_none():
    with pytest.raises(LinkError, match="in the plan in force"):
        await secrets(Digest("1001", "", "PBX"), plan=False).answer({"trunk": "pbx"})


async def test_a_variable_that_is_not_set_is_named():
    with pytest.raises(LinkError, match="PBX is not set") as caught:
        await secrets(Digest("1001", "", "PBX"), {}).answer({"trunk": "pbx"})
    assert caught.value.fatal
