"""The browser's audio with an edge: Kamailio and rtpengine are real, the console's operator sits in Chromium.

browser ─WebRTC─► seat process ─SIP, RTP─► Kamailio, rtpengine ─► worker ◄─ Kamailio, rtpengine ◄─ a trunk's phone
                            └──datagrams (listen, take over)─────► worker
"""

import asyncio
import wave

import pytest

from bridge.media.g711 import pcmu_decode
from bridge.settings import load
from bridge.store.store import Store
from tests.fakes import browser as browsers
from tests.fakes import consoles
from tests.fakes.rawphone import SILENCE
from tests.fakes.realedge import edge_phone, missing, running_edge
from tests.system.test_console_voice import Seat, live, microphone, of, recorded, seconds_with_tone

PBX = "127.0.0.3"
PLAN = f"""\
version: 1
trunks:
  pbx: {{addresses: {PBX}}}
agents:
  front: {{greeting: "Good morning, this is the front desk of the shop.", instructions: Be brief.}}
routes:
  - {{name: from the pbx, when: {{trunk: pbx}}, do: [{{agent: front, or_else: [{{hang_up: {{status: 503}}}}]}}]}}
  - {{name: nobody's, do: [{{agent: front, or_else: [{{hang_up: {{status: 503}}}}]}}]}}
"""

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(missing(), reason="kamailio and rtpengine-daemon are not installed"),
    browsers.needed(),
]


def kept(phone, path):
    """What the phone heard, as a WAV file."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(b"".join(pcmu_decode(one.payload) for one in phone.rtp.got if one.payload_type == 0))
    return path


async def browser_call(page, seat, edge):
    """From the form to the agent's voice; what the edge counts meanwhile."""
    await page.goto("/console/phone")
    await page.fill("[name=number]", "100")
    await page.fill("[name=caller]", "+49302222")
    await page.click("form button.main")
    await seat.state("talking")
    await seat.hears_the_call()
    await page.wait_for_selector("text=Watch this call")
    await page.click("[data-key='5']")
    counted = await edge.load()
    await asyncio.sleep(3)  # of the microphone
    await seat.act("leave")
    await seat.state("idle")
    return counted


async def taken_over(page, seat, call_id):
    """Listened to, talked to for some seconds, and given back."""
    await page.goto(f"/console/calls/{call_id}/listen")
    await seat.act("listen")
    await seat.state("listen")
    await seat.act("take-over")
    await seat.state("alone")
    await asyncio.sleep(3)
    await page.press("[name=note]", "Enter")
    await seat.state("listen")
    await seat.hears_the_call()
    await seat.act("leave")
    await seat.state("idle")


async def test_a_browser_call_and_a_take_over_go_through_the_edge_as_a_phones_do(tmp_path):
    environ = {"SIPBRIDGE_STORE": f"sqlite:///{tmp_path}/store.db"}
    async with (
        running_edge(tmp_path, plan=PLAN, environ=environ) as edge,
        browsers.browser(microphone(tmp_path / "mic.wav")) as running,
        Store(str(load(None, environ).store), migrate=False) as store,
        asyncio.timeout(120),
    ):
        base = await consoles.base(tmp_path)
        olga = await consoles.signed_in(running, environ, base, consoles.somebody("olga", "operator"))
        page, seat = olga.page, Seat(olga.page)
        assert await browser_call(page, seat, edge) == 1, "the dispatcher counts it"
        record, events = await recorded(store, "+49302222")
        assert (record.route, record.agent) == ("nobody's", "front")
        assert of(events, "console.call") == [{"by": "olga"}]
        assert of(events, "transcript")[0]["who"] == "agent"
        assert [one["digit"] for one in of(events, "dtmf")] == ["5"]
        assert seconds_with_tone(record.recording_path, 0) >= 2, "the browser's microphone, as the caller"
        assert await edge.load() == 0

        async with edge_phone(edge, PBX) as phone:
            assert (await phone.invite()).status == 200
            async with phone.speaking(SILENCE):
                await taken_over(page, seat, await live(store))
            assert (await phone.bye()).status == 200
        record, events = await recorded(store, "raw")
        who = {"leg": "browser of olga"}
        assert record.route == "from the pbx"
        assert of(events, "supervisor.took_over") == of(events, "supervisor.gave_back") == [who]
        assert seconds_with_tone(kept(phone, tmp_path / "phone.wav"), 0) >= 2, "the caller heard the browser"
        assert seconds_with_tone(record.recording_path, 1) >= 2, "and so has the recording"
        assert olga.complaints == []
