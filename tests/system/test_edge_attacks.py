"""The edge under attack: scanners, floods, forged dialogs, odd bodies, injected audio.

127.0.0.9 is the trunk; 127.0.0.1 and 127.0.0.2 are strangers.
"""

import asyncio
import contextlib
import json
import shutil
import socket
import struct
import time
import wave as wave_file

import numpy as np
import pytest
import pytest_asyncio

from bridge.media.g711 import pcmu_encode
from bridge.media.tones import beep
from tests.fakes.rawphone import SILENCE, RawPhone, raw_phone
from tests.fakes.realedge import edge_phone, missing, running_edge
from tests.fakes.worker_process import running_worker
from tests.system.test_tools import sipbridge
from tests.system.test_torture import torture

pytestmark = [
    pytest.mark.system,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(missing(), reason="kamailio and rtpengine-daemon are not installed"),
]
TRUNK, STRANGER = "127.0.0.9", "127.0.0.2"
SILENT_S = 0.4
SETTINGS = "deadlines: {drain_s: 0.5}\nlimits: {rtp_timeout_s: 4}\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def edge(tmp_path_factory):
    """One worker; strangers get nothing; the default limits."""
    folder = tmp_path_factory.mktemp("edge")
    trunks = f"  carrier: {{addresses: {TRUNK}}}\n"
    async with running_edge(folder, trunks=trunks, settings=SETTINGS) as one:
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
        tool,
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
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


async def test_ops_see_who_is_banned_and_forgive(edge):
    environ = edge.environ | {"SIPBRIDGE_CONFIG": str(edge.folder / "bridge.yaml")}
    assert (await sipbridge(environ, "edge", "ban", "add", "192.0.2.7"))[0] == 0
    assert (await sipbridge(environ, "edge", "ban", "list"))[1].split() == ["192.0.2.7"]
    assert (await sipbridge(environ, "edge", "ban", "remove", "192.0.2.7"))[0] == 0
    assert (await sipbridge(environ, "edge", "ban", "remove", "192.0.2.7"))[0] == 1
    status, said = await sipbridge(environ, "edge", "status", "--json")
    assert status == 0
    data = json.loads(said)
    assert (data["rtpengine"], len(data["workers"]), data["workers"][0]["state"]) == ("there", 1, "active")


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
ATTACK_S, ATTACK_RATE = 4.0, 2000


def packets():
    """RTP of the stranger: a tone (reference/reliability.md A3)."""
    tone = pcmu_encode(beep(1000, FOREIGN_HZ))
    for number in range(int(ATTACK_S * ATTACK_RATE)):
        at = number * 160 % (len(tone) - 160)
        yield struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * 160, 666) + tone[at : at + 160]


async def inject(port):
    """Send it to this port from another address; how many packets came back."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
        attacker.bind((STRANGER, 0))
        attacker.setblocking(False)
        began = time.monotonic()
        for number, packet in enumerate(packets()):
            if number % 20 == 0:
                await asyncio.sleep(max(began + number / ATTACK_RATE - time.monotonic(), 0))
            with contextlib.suppress(OSError):
                attacker.sendto(packet, ("127.0.0.1", port))
        got = 0
        with contextlib.suppress(OSError):
            while attacker.recv(2048):
                got += 1
    return got


def foreign_s(samples):
    """Seconds of 8 kHz audio in which the stranger's tone is heard."""
    frames = samples[: len(samples) // 160 * 160].reshape(-1, 160).astype(float)
    wave = np.exp(-2j * np.pi * FOREIGN_HZ / 8000 * np.arange(160))
    strength = np.abs(frames @ wave) / 80  # the amplitude of a tone of that frequency
    return float((strength > 300).sum() * 0.02)


async def attacked(phone):
    """A call of which the caller is silent, under attack; packets that the attacker got."""
    async with phone.speaking(SILENCE):
        await phone.heard(5)
        got = await inject(phone.rtp_to[1])
        await asyncio.sleep(0.3)
    return got


def caller_of(folder):
    """The caller's side of the newest recording."""
    newest = max((folder).rglob("*.wav"), key=lambda path: path.stat().st_mtime)
    with wave_file.open(str(newest)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, file.getnchannels())[
            :, 0
        ], (file.getframerate())


async def test_no_foreign_audio_gets_into_a_call_behind_rtpengine(edge):
    async with edge_phone(edge, TRUNK) as phone:
        assert (await phone.invite()).status == 200
        got = await attacked(phone)
        await phone.bye()
    await edge.until_log("call.ended", edge.log().count("call.ended") or 1)
    await asyncio.sleep(1.0)
    samples, rate = caller_of(edge.folder / "state" / "recordings")
    assert len(samples) > 4 * rate, "all of the attack is in the recording"
    heard = foreign_s(samples[:: rate // 8000])
    print(f"behind rtpengine: {heard:.2f} s of foreign audio, {got} packets to the attacker")  # noqa: T201  # the figure
    assert (heard, got) == (0.0, 0)


async def test_malformed_messages_of_a_trunk_hurt_neither_edge_nor_worker(edge):
    for number in range(len(list(torture(RawPhone(edge.port, TRUNK))))):
        async with edge_phone(edge, TRUNK) as phone:
            message = list(torture(phone))[number]
            phone.raw(message)
            if isinstance(message, str) and message.startswith("INVITE sip:100@127.0.0.1:"):
                await over(phone)
    assert await answer(edge, "OPTIONS") == 200
    assert len(await edge.active()) == 1
    assert not [word for word in ("worker.disconnected", "edge.daemon_ended") if word in edge.log()]


async def over(phone):
    """What the message began is ended, as a caller would."""
    with contextlib.suppress(TimeoutError):
        await phone.sip.until(lambda ms: [m for m in ms if m.status], 0.25)
        answer = await phone.sip.until(lambda ms: next((m for m in ms if m.status >= 200), None), 1)
        phone.take(answer)
        phone.ack(
            int(answer.headers["cseq"].split()[0]), phone.invite_branch if answer.status >= 300 else None
        )
        if answer.status == 200:
            await phone.bye()


async def test_without_the_edge_the_same_attack_is_heard(tmp_path):
    """Why there is an edge; should this fail, pjmedia has learned to lock its source."""
    async with running_worker(tmp_path) as worker, raw_phone(worker.port) as phone:
        assert (await phone.invite()).status == 200
        session = await worker.model.session()
        got = await attacked(phone)
        heard = foreign_s(np.frombuffer(session.heard(), "<i2")[::3])
        await phone.bye()
    print(f"without the edge: {heard:.2f} s of foreign audio, {got} packets to the attacker")  # noqa: T201  # the figure
    assert heard > 0.2
