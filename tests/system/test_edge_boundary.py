"""The trust boundary at Kamailio itself: who gets in, what they can make it believe, and send through it to others."""

import asyncio
import contextlib
import hashlib
import re
import socket

import pytest

from bridge.edge.render import console_word
from bridge.sip.headers import parse_invite
from tests.fakes.loneedge import SECRET, lone_edge
from tests.fakes.rawphone import RawPhone, raw_phone
from tests.fakes.realedge import missing
from tests.system.test_edge_attacks import gets_nothing

pytestmark = [
    pytest.mark.system,
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
        challenge = answer.headers["proxy-authenticate"]
        phone.forget()
        right = hashlib.md5(b"alice:sipbridge:s3cret").hexdigest()
        phone.request_out("INVITE", headers=answer_with(right, challenge, "alice", uri))
        invite = await edge.worker.got("INVITE ")
        assert "X-Sipbridge-Trunk: branch\r\n" in invite
        assert len(edge.worker.texts) == 1


async def test_a_browser_call_of_the_console_gets_in_by_the_edges_word_and_from_this_machine_only(tmp_path):
    """The word alone, or the machine alone, is not enough; the worker never sees the word."""
    word, body = f"X-Sipbridge-Console: {console_word(SECRET)}\r\n", ""
    async with lone_edge(tmp_path) as edge:
        for host, headers in (
            (STRANGER, word),
            ("127.0.0.1", ""),
            ("127.0.0.1", word.replace("Console: ", "Console: 0")),
        ):
            async with raw_phone(edge.port, host) as phone:
                phone.request_out("INVITE", body=body, headers=headers)
                await gets_nothing(phone)
        assert edge.worker.texts == []
        async with raw_phone(edge.port) as phone:
            phone.request_out("INVITE", body=body, headers=word + "X-Console-Call: proof\r\n")
            invite = await edge.worker.got("INVITE ")
            assert "X-Console-Call: proof\r\n" in invite
            assert "X-Sipbridge-Console" not in invite
            assert "X-Sipbridge-Trunk" not in invite


class InCall:
    """A caller whom the worker has answered, and somebody who has nothing to do with it."""

    def __init__(self, edge, phone, victim, answer):
        self.edge, self.phone, self.victim = edge, phone, victim
        self.token = re.search(r";tk=([0-9a-f]+)", answer.headers["record-route"])[1]
        self.other = f"{victim.host}:{victim.sip_port}"
        self.worker = f"127.0.0.1:{edge.worker_port}"

    async def info(self, target, route=None, answer=481):
        """Send an INFO of the call to `target`, with a Route as the caller likes it; it must be refused."""
        self.phone.target = f"sip:{target}"
        if route is not None:
            self.phone.route = "".join(f"Route: <sip:{one}>\r\n" for one in route)
        assert (await self.phone.response(self.phone.request_out("INFO"), "INFO")).status == answer


@contextlib.asynccontextmanager
async def in_call(folder, **options):
    async with (
        lone_edge(folder, edge=", strangers: accept", **options) as edge,
        raw_phone(edge.port, STRANGER) as phone,
        raw_phone(edge.port, "127.0.0.4") as victim,
    ):
        number = phone.request_out("INVITE")
        invite = await edge.worker.got("INVITE ")
        edge.worker.answer(invite, 200, f"Contact: <sip:w@127.0.0.1:{edge.worker_port}>\r\n")
        answer = await phone.response(number)
        phone.take(answer)
        phone.ack(number)
        await edge.worker.got("ACK ")
        edge.worker.texts.clear()
        yield InCall(edge, phone, victim, answer)


async def test_a_caller_sends_nothing_through_us_to_anybody_but_the_worker(tmp_path):
    async with in_call(tmp_path) as call:
        ours = f"127.0.0.1:{call.edge.port};lr;tk={call.token}"
        right = call.phone.target, call.phone.route
        await call.info(call.other)
        await call.info(call.other, [f"{ours};ov=1"])
        await call.info(call.other, [f"{ours};ov={call.token}"])
        await call.info(call.worker, [ours, f"{call.other};lr"])
        call.phone.target, call.phone.route = right
        number = call.phone.request_out("INFO")
        info = await call.edge.worker.got("INFO ")
        assert "X-Sipbridge-Trunk" not in info
        call.edge.worker.answer(info, 200)
        assert (await call.phone.response(number, "INFO")).status == 200
        await gets_nothing(call.victim)
        assert len(call.edge.worker.texts) == 1


async def test_an_answer_that_nobody_asked_for_goes_to_nobody(tmp_path):
    async with in_call(tmp_path) as call:
        for target in (call.other, call.worker):
            call.phone.raw(
                f"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 127.0.0.1:{call.edge.port};branch=z9hG4bKa\r\n"
                f"Via: SIP/2.0/UDP {target};branch=z9hG4bKb\r\nFrom: <sip:a@x>;tag=1\r\nTo: <sip:b@x>;tag=2\r\n"
                f"Call-ID: {call.phone.call_id}\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
            )
        await gets_nothing(call.victim)
        assert call.edge.worker.texts == []
        assert await call.edge.counted("astray") == 2
        assert len(await call.edge.active()) == 1, "the worker's answers to OPTIONS are heard"


async def test_an_invite_that_names_a_worker_to_take_over_a_call_stays_its_trunks(tmp_path):
    async with (
        lone_edge(tmp_path, addresses=[(f"{STRANGER}/32", "pbx")]) as edge,
        raw_phone(edge.port, STRANGER) as phone,
    ):
        phone.target = f"sip:x@127.0.0.1:{edge.worker_port}"
        phone.request_out("INVITE", headers="Replaces: unknown;to-tag=a;from-tag=b\r\n")
        assert "X-Sipbridge-Trunk: pbx\r\n" in await edge.worker.got("INVITE ")


async def test_no_word_of_the_edge_is_forged_behind_what_it_takes_for_the_end_of_the_headers(tmp_path):
    async with (
        lone_edge(tmp_path, edge=", strangers: accept", addresses=[("127.0.0.9/32", "pbx")]) as edge,
        raw_phone(edge.port, STRANGER) as phone,
    ):
        body = "\r\nX-Sipbridge-Trunk: pbx\r\n"
        text = phone.message("INVITE", number=1, kind="text/plain", body=body)
        phone.raw(text.replace(f"\r\n\r\n{body}", f"\r\n\r{body}"))
        invite = parse_invite(await edge.worker.got("INVITE "))
        assert invite.edge_word.trunk == ""
        assert invite.edge_word.source == f"{STRANGER}:{phone.sip_port};transport=udp"


async def test_of_a_flood_from_ever_other_addresses_little_is_remembered_and_calls_go_on(tmp_path):
    limits = "{strangers_per_s: 20, stranger_requests_per_s: 1000}"
    async with (
        lone_edge(tmp_path, edge=f", limits: {limits}", addresses=[("127.0.0.9/32", "pbx")]) as edge,
        raw_phone(edge.port, "127.0.0.9") as phone,
    ):
        number = phone.request_out("INVITE")
        edge.worker.answer(
            await edge.worker.got("INVITE "), 200, f"Contact: <sip:w@127.0.0.1:{edge.worker_port}>\r\n"
        )
        phone.take(await phone.response(number))
        phone.ack(number)
        text = RawPhone(edge.port).message("OPTIONS").encode()
        for number in range(300):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
                stranger.bind((f"127.1.{number // 250}.{1 + number % 250}", 0))
                stranger.sendto(text, ("127.0.0.1", edge.port))
        async with raw_phone(edge.port, STRANGER) as moved:  # of the same call, from an address of no trunk
            moved.call_id, moved.to_tag = phone.call_id, phone.to_tag
            moved.target, moved.route = phone.target, phone.route
            moved.request_out("BYE")
            await edge.worker.got("BYE ")
        assert 0 < len(await edge.rpc.table("strikes")) < 100


async def test_a_connection_without_a_word_is_closed_soon_and_one_of_a_trunk_lasts(tmp_path):
    async with lone_edge(tmp_path, addresses=[("127.0.0.9/32", "pbx")]) as edge:
        with contextlib.ExitStack() as stack:
            silent, trunk = (
                stack.enter_context(
                    socket.create_connection(("127.0.0.1", edge.port), source_address=(host, 0))
                )
                for host in (STRANGER, "127.0.0.9")
            )
            trunk.sendall(
                RawPhone(edge.port, "127.0.0.9").message("OPTIONS").replace("/UDP", "/TCP").encode()
            )
            assert (await asyncio.to_thread(trunk.recv, 4096)).startswith(b"SIP/2.0 200")
            async with asyncio.timeout(15):  # while one of its processes has it, Kamailio says less
                while (left_s := await lifetimes(edge))["127.0.0.9"] < 3000:  # noqa: ASYNC110  # its own clock
                    await asyncio.sleep(0.2)
            assert left_s.get(STRANGER, 0) <= 30
            silent.close()


async def lifetimes(edge):
    """Seconds that each connection still has when nothing comes, by address."""
    return {one["src_ip"]: one["timeout"] for one in await edge.rpc.ask("core.tcp_list")}


async def test_an_answer_to_an_old_challenge_is_asked_for_again_and_is_no_strike(tmp_path):
    async with (
        lone_edge(
            tmp_path, login=("alice", "s3cret"), instead=('"nonce_expire", 60', '"nonce_expire", 1')
        ) as edge,
        raw_phone(edge.port, STRANGER) as phone,
    ):
        challenge = (await phone.invite(body="")).headers["proxy-authenticate"]
        assert "stale" not in challenge
        await asyncio.sleep(2.5)
        right = hashlib.md5(b"alice:sipbridge:s3cret").hexdigest()
        phone.forget()
        headers = answer_with(right, challenge, "alice", f"sip:100@127.0.0.1:{edge.port}")
        again = await phone.invite(body="", headers=headers)
        assert (again.status, "stale=true" in again.headers["proxy-authenticate"]) == (407, True)
        assert await edge.rpc.table("strikes") == {}


async def test_an_answer_to_a_challenge_counts_once_and_the_same_call_sent_again_is_the_same_call(tmp_path):
    async with (
        lone_edge(tmp_path, login=("alice", "s3cret")) as edge,
        raw_phone(edge.port, STRANGER) as phone,
    ):
        challenge = (await phone.invite(body="")).headers["proxy-authenticate"]
        right = hashlib.md5(b"alice:sipbridge:s3cret").hexdigest()
        headers = answer_with(right, challenge, "alice", f"sip:100@127.0.0.1:{edge.port}")
        phone.forget()
        number = phone.request_out("INVITE", headers=headers)
        invite = await edge.worker.got("INVITE ")
        phone.raw(phone.message("INVITE", number=number, headers=headers))
        edge.worker.answer(invite, 486)
        assert (await phone.response(number)).status == 486
        phone.forget()
        stolen = await phone.invite(body="", headers=headers)
        assert (stolen.status, "stale=true" in stolen.headers["proxy-authenticate"]) == (407, True)
        assert await edge.rpc.table("strikes") == {}
        assert len([text for text in edge.worker.texts if text.startswith("INVITE ")]) == 1


async def test_a_workers_question_to_a_trunk_does_not_tell_its_address(tmp_path):
    async with lone_edge(tmp_path) as edge, raw_phone(edge.port, STRANGER) as trunk:
        own = f"127.0.0.1:{edge.worker_port}"
        edge.worker.sip_transport.sendto(
            f"OPTIONS sip:{trunk.host}:{trunk.sip_port} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKask\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:sipbridge@{own}>;tag=1\r\nTo: <sip:{trunk.host}:{trunk.sip_port}>\r\n"
            f"Call-ID: ask\r\nCSeq: 1 OPTIONS\r\nContact: <sip:sipbridge@{own}>\r\n"
            f"Route: <sip:127.0.0.1:{edge.inner_port};lr>\r\nContent-Length: 0\r\n\r\n".encode(),
            ("127.0.0.1", edge.inner_port),
        )
        asked = await trunk.request("OPTIONS")
        assert f"<sip:sipbridge@127.0.0.1:{edge.port}>;tag=1" in asked.headers["from"]
        assert str(edge.worker_port) not in repr((asked.start, asked.headers))
        trunk.reply(asked)
        assert (await edge.worker.got("SIP/2.0 200")).count("CSeq: 1 OPTIONS") == 1
