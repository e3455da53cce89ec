"""The trust boundary at Kamailio itself: who gets in, what they can make it believe, and send through it to others."""

import hashlib
import re

import pytest

from tests.fakes.loneedge import lone_edge
from tests.fakes.rawphone import raw_phone
from tests.fakes.realedge import missing

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(60),
    pytest.mark.skipif(missing(), reason="kamailio and rtpengine-daemon are not installed"),
]
STRANGER = "127.0.0.2"


def answer_with(ha1, challenge, user, uri):
    """RFC 2617 with qop=auth, made of an HA1: no password is needed for that."""
    nonce = re.search(r'nonce="([^"]+)"', challenge)[1]

    def md5(text):
        return hashlib.md5(text.encode()).hexdigest()

    response = md5(f"{ha1}:{nonce}:00000001:abcd:auth:{md5(f'INVITE:{uri}')}")
    return (
        f'Proxy-Authorization: Digest username="{user}", realm="sipbridge", nonce="{nonce}", uri="{uri}", '
        f'qop=auth, nc=00000001, cnonce="abcd", response="{response}"\r\n'
    )


@pytest.mark.parametrize("user", ["nobody", "*"])
async def test_nobody_gets_in_as_a_user_that_does_not_exist(tmp_path, user):
    async with (
        lone_edge(tmp_path, login=("alice", "s3cret")) as edge,
        raw_phone(edge.port, STRANGER) as phone,
    ):
        challenge = (await phone.invite(body="")).headers["proxy-authenticate"]
        phone.forget()
        uri = f"sip:100@127.0.0.1:{edge.port}"
        answer = await phone.invite(body="", headers=answer_with("0" * 32, challenge, user, uri))
        assert answer.status == 407
        phone.forget()
        right = hashlib.md5(b"alice:sipbridge:s3cret").hexdigest()
        phone.request_out("INVITE", headers=answer_with(right, challenge, "alice", uri))
        invite = await edge.worker.got("INVITE ")
        assert "X-Sipbridge-Trunk: branch\r\n" in invite
        assert len(edge.worker.texts) == 1
