"""The edge under attack: scanners, floods, forged dialogs, odd bodies, injected audio.

127.0.0.9 is the trunk; 127.0.0.1 and 127.0.0.2 are strangers.
"""

import asyncio
import contextlib
import shutil
import socket
import struct
import time

import pytest
import pytest_asyncio

from bridge.media.g711 import pcmu_decode, pcmu_encode
from bridge.media.tones import beep
from bridge.sip.pace import REST_S
from tests.fakes.rawphone import RawPhone, raw_phone
from tests.fakes.realedge import edge_phone, missing, running_edge
from tests.system.test_torture import torture

pytestmark = [
    pytest.mark.system,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(120),
    pytest.mark.skipif(missing(), reason="kamailio and rtpengine-daemon are not installed"),
]
TRUNK, STRANGER = "127.0.0.9", "127.0.0.2"
SILENT_S = 0.4


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory):
    """One worker; strangers get nothing; the default limits."""
    folder = tmp_path_factory.mktemp("edge")
    trunks = f"  carrier: {{addresses: {TRUNK}}}\n"
    async with running_edge(folder, trunks=trunks, settings="deadlines: {drain_s: 0.5}\n") as one:
        yield one


@pytest_asyncio.fixture(autouse=True, loop_scope="module")
async def forgiven(edge):
    """No test finds the bans of the one before."""
    yield
    for table in ("ban", "strikes"):
        for entry in await edge.rpc.ask("htable.dump", table) or []:
            for slot in entry["slot"]:
                await edge.rpc.ask("htable.delete", table, slot["name"])


async def carries_a_call(edge):
    async with edge_phone(edge, TRUNK) as phone:
        assert (await phone.invite()).status == 200
        await phone.heard(5)
        assert (await phone.bye()).status == 200


@contextlib.asynccontextmanager
async def stranger(edge, host=STRANGER):
    phone = RawPhone(edge.port, host)
    await phone.open()
    try:
        yield phone
    finally:
        phone.close()


async def gets_nothing(phone, count=0):
    await asyncio.sleep(SILENT_S)
    assert [message.start for message in phone.sip.got[count:]] == []


METHODS = (
    "INVITE", "OPTIONS", "REGISTER", "MESSAGE", "SUBSCRIBE", "NOTIFY", "BYE", "ACK", "CANCEL", "PUBLISH", "INFO", "FOO"
)  # fmt: skip


async def test_a_stranger_hears_nothing_whatever_is_asked(edge):
    async with stranger(edge) as phone:
        for method in METHODS:
            phone.request_out(method, body=phone.sdp() if method == "INVITE" else "")
        phone.to_tag = "forged"
        for method in ("BYE", "INFO", "ACK", "INVITE", "UPDATE"):
            phone.request_out(method)
        await gets_nothing(phone)


async def test_a_forged_route_of_ours_does_not_open_a_way_in_for_a_stranger(edge):
    route = f"Route: <sip:127.0.0.1:{edge.port};lr;tk=0123456789abcdef>\r\n"
    async with stranger(edge) as phone:
        phone.to_tag = "forged"
        for target in (f"127.0.0.1:{edge.workers_port}", "192.0.2.1"):
            text = phone.message("BYE", headers=route).replace(
                f"BYE sip:100@127.0.0.1:{edge.port}", f"BYE sip:x@{target}"
            )
            phone.raw(text)
        await gets_nothing(phone)


async def test_a_known_trunk_cannot_send_through_us_to_anybody_else(edge):
    async with edge_phone(edge, TRUNK) as phone, raw_phone(0) as victim:
        assert (await phone.invite()).status == 200
        good, phone.target = phone.target, f"sip:victim@127.0.0.1:{victim.sip_port}"
        assert (await phone.response(phone.request_out("INFO"), "INFO")).status == 481
        assert victim.sip.got == []
        phone.target = good
        assert (await phone.bye()).status == 200


@pytest.mark.parametrize("tool", ["svmap", "svwar", "svcrack"])
async def test_sipvicious_learns_nothing(edge, tool):
    if shutil.which(tool) is None:
        pytest.skip("sipvicious is not installed")
    options = {
        "svmap": [f"-p{edge.port}", "-b", STRANGER, "127.0.0.1"],
        "svwar": [f"-p{edge.port}", "-b", STRANGER, "-e100-110", "-m", "INVITE", "--force", "127.0.0.1"],
        "svcrack": [f"-p{edge.port}", "-b", STRANGER, "-u100", "-r1-20", "127.0.0.1"],
    }[tool]
    process = await asyncio.create_subprocess_exec(
        tool, *options, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(12):
            output, _ = await process.communicate()
    except TimeoutError:  # svcrack waits for ever for an answer
        process.kill()
        output = await process.stdout.read()
    said = output.decode()
    assert "sipbridge" not in said.lower()
    assert not [word for word in ("100 |", "requires auth", "The password for", "reqauth") if word in said]
    if tool == "svmap":
        assert "found nothing" in said
    await carries_a_call(edge)


async def test_a_flood_is_banned_and_the_trunks_calls_go_on(edge):
    async with edge_phone(edge, TRUNK) as phone, stranger(edge) as flood:
        assert (await phone.invite()).status == 200
        for _ in range(300):
            flood.request_out("INVITE", body=flood.sdp())
            await asyncio.sleep(0.002)
        await edge.until_log("edge.banned")
        assert await edge.banned() == {STRANGER}
        await carries_a_call(edge)
        assert (await phone.bye()).status == 200
        assert flood.sip.got == []


async def test_a_scanner_is_banned_by_its_name(edge):
    async with stranger(edge) as phone:
        text = phone.message("OPTIONS", headers="User-Agent: friendly-scanner\r\n")
        phone.raw(text)
        await gets_nothing(phone)
    assert await edge.banned() == {STRANGER}


async def test_a_flood_of_unknown_dialogs_is_banned(edge):
    async with stranger(edge) as phone:
        phone.to_tag = "gone"
        for _ in range(12):
            phone.request_out("BYE")
            await asyncio.sleep(0.1)  # slower than a flood
        await gets_nothing(phone)
    assert await edge.banned() == {STRANGER}


async def test_malformed_messages_of_a_stranger_reach_nobody(edge):
    async with stranger(edge) as phone:
        for message in torture(phone):
            phone.raw(message)
            await asyncio.sleep(0.005)
        await gets_nothing(phone)
    await carries_a_call(edge)


async def test_malformed_messages_of_a_trunk_hurt_neither_edge_nor_worker(edge):
    for number in range(len(list(torture(RawPhone(edge.port, TRUNK))))):
        async with edge_phone(edge, TRUNK) as phone:
            message = list(torture(phone))[number]
            phone.raw(message)
            if isinstance(message, str) and message.startswith("INVITE sip:100@127.0.0.1:"):
                await over(phone)
    await free(edge)
    await asyncio.sleep(REST_S)  # a worker's pace: so many calls in so short a time are not taken
    await carries_a_call(edge)


async def over(phone):
    """What the message began is ended, as a caller would."""
    with contextlib.suppress(TimeoutError):
        await phone.sip.until(lambda ms: [m for m in ms if m.status], 0.25)
        answer = await phone.sip.until(lambda ms: next((m for m in ms if m.status >= 200), None), 10)
        phone.take(answer)
        phone.ack(int(answer.headers["cseq"].split()[0]), phone.invite_branch if answer.status >= 300 else None)
        if answer.status == 200:
            await phone.bye()


async def free(edge):
    """No call is counted any more."""
    async with asyncio.timeout(40):
        while await edge.load():  # noqa: ASYNC110  # Kamailio's own count
            await asyncio.sleep(0.1)


async def answer(edge, method="INVITE", **fields):
    """The status of what a fresh caller of the trunk sends."""
    async with edge_phone(edge, TRUNK) as phone:
        sdp = fields.pop("sdp", {})
        fields.setdefault("body", phone.sdp(**sdp) if method == "INVITE" else "")
        number = phone.request_out(method, **fields)
        return (await phone.response(number, method)).status


CRYPTO = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"


async def test_what_a_body_or_a_head_must_not_be_is_refused_at_the_edge(edge):
    started = edge.log().count("call.started")
    multipart = {"body": "--x\r\n\r\n--x--\r\n", "kind": "multipart/mixed;boundary=x"}
    assert await answer(edge, **multipart) == 415
    assert await answer(edge, sdp={"extra": CRYPTO * 69}) == 488
    assert await answer(edge, sdp={"extra": CRYPTO}) == 488, "keys that nobody asked for"
    assert await answer(edge, sdp={"extra": "m=audio 9 RTP/AVP 0\r\n" * 9}) == 488
    assert await answer(edge, body="v=0\r\nm=\r\n") == 488
    assert await answer(edge, headers=f"X-Long: {'a' * 20_000}\r\n") == 513
    assert await answer(edge, "MESSAGE") == 405
    assert await answer(edge, "OPTIONS") == 200
    assert await answer(edge, "BYE") == 481
    assert edge.log().count("call.started") == started


FOREIGN_HZ = 1700.0


def foreign(seconds, rate):
    """RTP of a stranger: a tone, `rate` packets a second."""
    tone = pcmu_encode(beep(1000, FOREIGN_HZ, 8000))
    for number in range(int(seconds * rate)):
        at = number * 160 % (len(tone) - 160)
        yield struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * 160, 666) + tone[at : at + 160]


async def inject(port, seconds=4.0, rate=2000):
    """Send it to this port from another address."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        attacker.bind((STRANGER, 0))
        attacker.setblocking(False)
        began, sent = time.monotonic(), 0
        for packet in foreign(seconds, rate):
            if sent % 20 == 0:
                await asyncio.sleep(max(began + sent / rate - time.monotonic(), 0))
            with contextlib.suppress(OSError):
                attacker.sendto(packet, ("127.0.0.1", port))
            sent += 1
        got = 0
        with contextlib.suppress(OSError):
            while attacker.recv(2048):
                got += 1
    return sent, got
