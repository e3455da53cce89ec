"""A browser call's way to this bridge, and the proof of whose it is: one call, half a minute, and nobody forges it."""

import re
from dataclasses import dataclass, field
from types import SimpleNamespace

import pytest

from bridge.config import CONSOLE_HEADER
from bridge.control_seats import PROOF_S, SeatDesk
from bridge.edge.folder import edge_secret
from bridge.edge.render import console_word
from bridge.errors import LinkError, SeatError
from bridge.settings import load
from bridge.sip.headers import MAX_VALUE_CHARS
from bridge.store.userstore import User

KEY = b"k" * 32
OLGA = User("olga.o@example.org", frozenset({"operator"}), frozenset())


@dataclass
class Clock:
    now: float = 1_000_000.0

    def __call__(self):
        return self.now


@dataclass
class Peer:
    """A worker on the link."""

    port: int
    calls: int = 0
    draining: bool = False
    status: dict = field(init=False)

    def __post_init__(self):
        self.status = {"calls": self.calls, "draining": self.draining}
        self.hello = SimpleNamespace(sip_port=self.port, draining=self.draining)


def desk(tmp_path, *peers, key=KEY, clock=None, **environ):
    settings = load(None, {"SIPBRIDGE_STATE_DIR": str(tmp_path), **environ})
    return SeatDesk(settings, environ, lambda: peers, key, None, clock or Clock())


async def by(one, dial, call_id="call-1"):
    answer = await one.answer("console.call", {"proof": dial.headers[CONSOLE_HEADER], "call_id": call_id})
    return answer["by"]


async def test_the_proof_says_whose_call_it_is_once(tmp_path):
    one = desk(tmp_path, Peer(5060))
    dial = one.dial("s1", OLGA, "100", "+4930")
    assert await by(one, dial) == OLGA.name
    assert await by(one, dial, "call-2") == "", "another call with the same proof"


async def test_another_node_with_the_same_key_knows_it_and_one_with_another_key_does_not(tmp_path):
    dial = desk(tmp_path, Peer(5060)).dial("s1", OLGA, "100", "+4930")
    assert await by(desk(tmp_path), dial) == OLGA.name
    assert await by(desk(tmp_path, key=b"x" * 32), dial) == ""


async def test_it_ends_after_half_a_minute(tmp_path):
    clock = Clock()
    one = desk(tmp_path, Peer(5060), clock=clock)
    dial = one.dial("s1", OLGA, "100", "+4930")
    clock.now += PROOF_S + 1
    assert await by(one, dial) == ""


@pytest.mark.parametrize("proof", ["", "x", "....", "a.b.c.d.e", "é.1.9999999999.x.olga", "." * 300])
async def test_a_forged_one_is_nobodys(tmp_path, proof):
    assert await desk(tmp_path).answer("console.call", {"proof": proof, "call_id": "c"}) == {"by": ""}


async def test_a_word_of_it_cannot_be_changed(tmp_path):
    one = desk(tmp_path, Peer(5060))
    dial = one.dial("s1", OLGA, "100", "+4930")
    forged = dial.headers[CONSOLE_HEADER].replace("olga", "anna")
    assert await one.answer("console.call", {"proof": forged, "call_id": "c"}) == {"by": ""}


async def test_it_fits_into_a_header_whatever_the_name_and_has_nothing_odd_in_it(tmp_path):
    long = User("n" * 64, frozenset(), frozenset())
    proof = desk(tmp_path, Peer(5060)).dial("f" * 16, long, "100", "1").headers[CONSOLE_HEADER]
    assert len(proof) <= MAX_VALUE_CHARS
    assert re.fullmatch(r"[\w.@-]+", proof)


async def test_the_page_learns_which_call_it_is(tmp_path):
    one = desk(tmp_path, Peer(5060))
    told = []
    seat = SimpleNamespace(call_id="", tell=told.append)
    one.seats = SimpleNamespace(of_id={"s1": seat}.get)
    await by(one, one.dial("s1", OLGA, "100", "+4930"), "call-7")
    assert (seat.call_id, told) == ("call-7", [{"call_id": "call-7"}])


async def test_without_an_edge_it_goes_to_the_worker_with_the_fewest_calls(tmp_path):
    peers = (Peer(5060, calls=3), Peer(5061, calls=1), Peer(5062, draining=True))
    dial = desk(tmp_path, *peers).dial("s1", OLGA, "100", "+4930")
    assert (dial.uri, dial.bind) == ("sip:100@127.0.0.1:5061", "127.0.0.1")
    assert dial.from_uri == "<sip:+4930@127.0.0.1>"
    assert list(dial.headers) == [CONSOLE_HEADER]


async def test_without_a_worker_it_says_so(tmp_path):
    with pytest.raises(SeatError, match="no worker"):
        desk(tmp_path, Peer(5060, draining=True)).dial("s1", OLGA, "100", "+4930")


async def test_an_edge_that_takes_no_udp_is_said_instead_of_called_in_vain(tmp_path):
    on = {"SIPBRIDGE_EDGE__ENABLED": "true", "SIPBRIDGE_EDGE__TRANSPORTS": "[tcp]"}
    with pytest.raises(SeatError, match=r"add udp to edge\.transports"):
        desk(tmp_path, **on).dial("s1", OLGA, "100", "+4930")


async def test_with_an_edge_it_goes_there_and_carries_the_edges_word(tmp_path):
    on = {"SIPBRIDGE_EDGE__ENABLED": "true", "SIPBRIDGE_SIP__PORT": "5999"}
    one = desk(tmp_path, **on)
    dial = one.dial("s1", OLGA, "100", "+4930")
    assert dial.uri == "sip:100@127.0.0.1:5999"
    assert dial.headers["X-Sipbridge-Console"] == console_word(edge_secret(tmp_path))


async def test_it_answers_nothing_else(tmp_path):
    with pytest.raises(LinkError):
        await desk(tmp_path).answer("console.other", {})


def test_browsers_get_the_settings_ice_servers_and_turn_its_password(tmp_path):
    environ = {
        "SIPBRIDGE_CONSOLE__AUDIO__ICE_SERVERS": '["stun:a:3478", "turn:b:3478?transport=udp"]',
        "SIPBRIDGE_CONSOLE__AUDIO__ICE_USER": "u",
        "SIPBRIDGE_CONSOLE__AUDIO__ICE_PASSWORD_ENV": "TURN_PASSWORD",
        "SIPBRIDGE_CONSOLE__AUDIO__PORTS": "30000-30099",
        "SIPBRIDGE_CONSOLE__AUDIO__SEATS": "3",
        "TURN_PASSWORD": "secret",
    }
    audio = desk(tmp_path, **environ).audio()
    assert (audio.ice.first_port, audio.ice.last_port, audio.limits.most) == (30000, 30099, 3)
    stun, turn = audio.ice.servers
    assert (stun.user, stun.password) == ("", "")
    assert (turn.user, turn.password) == ("u", "secret")
