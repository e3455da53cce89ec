"""The page of one call: shown, played, taken along, shared; what is erased is said to be."""

import asyncio
import json
import re

import numpy as np
import pytest

from bridge.console.callpage import MAX_PICTURES
from bridge.errors import StoreError
from bridge.store.userstore import User
from tests.fakes import console as consoles
from tests.fakes.console import words
from tests.fakes.events import Script
from tests.media.test_peaks import write

T0 = 1_795_000_000.0
EVIL = "<svg onload=alert(1)>"
PAGE = "/console/history/c1"


@pytest.fixture
async def house(tmp_path):
    folder = tmp_path / "recordings"
    folder.mkdir()
    async with consoles.running(tmp_path, more={"recordings": folder}) as found:
        found.recordings = folder
        yield found


async def keep(house, *, recorded=True, over=True, said=EVIL):
    script = Script(call_id="c1", at=T0)
    script.tell(
        "call.started", direction="inbound", **{"from": "+4930123456", "to": "100"}, from_display=EVIL
    )
    script.tell("call.answered", 1, codec="PCMU", ptime_ms=20)
    if recorded:
        path = write(house.recordings / "c1.wav", np.full(16_000, 8000), np.full(16_000, 90))
        script.tell("recording", path=str(path))
    script.tell("speech.started", 0.5, item_id="i1").tell("speech.stopped", 1, item_id="i1")
    script.tell("transcript", who="caller", item_id="i1", text=said)
    script.tell("agent.started", 0.2, item_id="i2").tell(
        "transcript", who="agent", item_id="i2", text="No way at all"
    )
    script.tell("barge_in", 0.5, item_id="i2", heard_ms=400, dropped_ms=500)
    script.tell("agent.finished", item_id="i2", heard_ms=400, interrupted=True)
    lines = [{"mono": 50.0, "sent": False, "what": "INVITE", "cseq": "1", "text": f"INVITE {EVIL}"}]
    script.tell("sip.messages", leg="caller", messages=lines)
    if over:
        script.tell("call.ended", 1, by="caller", status=200, reason=EVIL)
    await house.office.store.write(0, script.events)


async def page(house, who="chief", path=PAGE):
    return (await (await house.as_(who)).get(path)).text


async def viewer(house):
    await house.office.users.put(User("vera", frozenset({"viewer"}), frozenset()))
    return await house.as_("vera")


async def forget(house, statement):
    import sqlalchemy as sa

    await house.office.store.transaction("test", lambda it: it.execute(sa.text(statement)))


async def test_a_call_is_shown_with_picture_player_words_and_ladder_and_all_of_it_is_text(house):
    await keep(house)
    text = await page(house)
    assert EVIL not in text
    assert EVIL in words(text)
    assert '<audio id="recording" controls preload="none" src="/console/history/c1/recording"' in text
    assert 'class="wave caller" d="M' in text
    assert re.search(r'<rect class="bar agent cut" x="[\d.]+"', text)
    assert '<a href="#sip-0" class="arrow"' in text
    assert re.search(r"No way <del[^>]*>at all</del>", text)
    assert 'data-recording="0.0"' in text
    assert "style=" not in text


async def test_the_recording_is_served_whole_and_in_parts_to_who_may_hear_it(house):
    await keep(house)
    browser = await house.as_("chief")
    whole = await browser.get(f"{PAGE}/recording")
    assert (whole.status_code, whole.headers["content-type"]) == (200, "audio/wav")
    assert whole.content == (house.recordings / "c1.wav").read_bytes()
    assert whole.headers["content-disposition"] == 'inline; filename="c1.wav"'
    part = await browser.get(f"{PAGE}/recording", range="bytes=44-143")
    assert (part.status_code, part.content) == (206, whole.content[44:144])
    loaded = await browser.get(f"{PAGE}/recording?download=1")
    assert loaded.headers["content-disposition"].startswith("attachment")
    assert (await (await viewer(house)).get(f"{PAGE}/recording")).status_code == 403
    assert (await house.browser().get(f"{PAGE}/recording")).status_code == 303


async def test_a_viewer_sees_when_but_neither_who_nor_what(house):
    await keep(house)
    browser = await viewer(house)
    text = (await browser.get(PAGE)).text
    for secret in ("+4930123456", "onload", "No way", "<audio", "/share"):
        assert secret not in text, secret
    assert "***56" in text
    assert "your roles do not let you" in text
    body = json.loads((await browser.get(f"{PAGE}/call.json")).text)
    assert body["record"]["from_uri"] == "***56"
    assert "events" not in body
    assert "onload" not in json.dumps(body)


async def test_everything_of_a_call_is_a_json_file(house):
    await keep(house)
    answer = await (await house.as_("chief")).get(f"{PAGE}/call.json")
    assert answer.headers["content-disposition"] == 'attachment; filename="call-c1.json"'
    body = answer.json()
    assert body["record"]["call_id"] == "c1"
    assert body["events"][0]["type"] == "call.started"
    assert body["timeline"]["spans"][0]["text"] == EVIL


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        ("UPDATE calls SET recording_path = NULL", "has been erased by the rules of retention"),
        ("UPDATE calls SET recording_path = '/etc/passwd'", "file is not there any more"),
        ("UPDATE calls SET node = 'far', recording_path = '/far/c1.wav'", "The recording lies on node far"),
    ],
)
async def test_a_recording_that_is_gone_is_no_broken_player(house, statement, said):
    await keep(house)
    await forget(house, statement)
    text = await page(house)
    assert "<audio" not in text
    assert said in words(text)
    assert (await (await house.as_("chief")).get(f"{PAGE}/recording")).status_code == 404


class FarNode:
    def reached(self, _node):
        return False

    def console(self, node):
        return f"https://{node}.example"


async def test_a_recording_that_cannot_be_had_here_has_a_link_to_the_console_of_its_node(tmp_path):
    (tmp_path / "recordings").mkdir()
    more = {"recordings": tmp_path / "recordings", "far": FarNode()}
    async with consoles.running(tmp_path, more=more) as house:
        house.recordings = tmp_path / "recordings"
        await keep(house)
        await forget(house, "UPDATE calls SET node = 'far', recording_path = '/far/c1.wav'")
        assert '<a href="https://far.example/console/history/c1" rel="noreferrer">' in await page(house)


async def test_a_node_that_does_not_answer_holds_no_other_call_s_page_up(tmp_path):
    waiting, silent = asyncio.Semaphore(0), asyncio.Event()

    class SilentNode(FarNode):
        def reached(self, node):
            return node == "far"

        async def peaks(self, _record):
            waiting.release()
            await silent.wait()

    folder = tmp_path / "recordings"
    folder.mkdir()
    async with consoles.running(tmp_path, more={"recordings": folder, "far": SilentNode()}) as house:
        house.recordings = folder
        await keep(house)
        await forget(house, "UPDATE calls SET node = 'far', recording_path = '/far/c1.wav'")
        other = Script(call_id="c2", boot="b2").tell("call.started").tell("call.ended", 1, by="caller")
        await house.office.store.write(0, other.events)
        stuck = [asyncio.create_task(page(house)) for _ in range(MAX_PICTURES)]
        for _ in stuck:
            await waiting.acquire()
        async with asyncio.timeout(10):
            assert "This call was not recorded." in words(await page(house, "anna", "/console/history/c2"))
        silent.set()
        assert "The recording lies on node far" in words((await asyncio.gather(*stuck))[0])


async def test_a_call_without_recording_says_so_and_still_has_its_picture(house):
    await keep(house, recorded=False)
    text = await page(house)
    assert "This call was not recorded." in words(text)
    assert 'id="picture"' in text


async def test_a_file_that_is_no_recording_breaks_no_page(house):
    await keep(house)
    (house.recordings / "c1.wav").write_bytes(b"")
    assert "<audio" not in await page(house)
    (house.recordings / "c1.wav").write_bytes(b"x" * 1000)
    assert 'class="wave' not in await page(house)


async def test_words_that_are_erased_are_said_to_be(house):
    await keep(house)
    await forget(house, "DELETE FROM call_events WHERE type = 'transcript'")
    assert "No words are kept of this call" in words(await page(house))


async def test_a_call_whose_timeline_is_erased_still_has_its_record(house):
    await keep(house)
    await forget(house, "DELETE FROM call_events")
    await forget(house, "UPDATE calls SET recording_path = NULL")
    text = words(await page(house))
    assert "The timeline of this call has been erased" in text
    assert "No recording of this call is known any more." in text
    assert "No words are kept of this call" in text
    assert "+4930123456" in text


async def test_a_call_that_goes_on_is_shown_as_far_as_it_is_and_leads_to_its_live_page(house):
    await keep(house, over=False)
    text = await page(house)
    assert 'href="/console/calls/c1"' in text
    assert "<audio" not in text
    assert "can be played when it is over" in words(text)


async def test_a_call_that_is_not_there_is_not_found(house):
    browser = await house.as_("chief")
    for path in ("/console/history/none", "/console/history/none/call.json", "/console/history/%00"):
        answer = await browser.get(path)
        assert (answer.status_code, "no such call" in answer.text) == (404, True)


async def share(house, hours="24"):
    browser = await house.as_("chief")
    answer = await browser.post(f"{PAGE}/share", page=PAGE, hours=hours)
    found = re.search(r'id="share-link" readonly value="([^"]+)"', answer.text)
    return browser, answer, found and found[1]


async def test_a_link_shows_one_call_to_anybody_and_nothing_to_press(house):
    await keep(house)
    _, _, link = await share(house)
    assert re.fullmatch(rf"{house.base}/console/shared/[\w-]{{43}}", link)
    stranger = house.browser()
    answer = await stranger.get(link)
    text = answer.text
    assert answer.headers["x-robots-tag"] == "noindex, nofollow, noarchive"
    assert "set-cookie" not in answer.headers
    assert EVIL in words(text)
    for ours in ("<nav", "<form", "<button", "/console/history", "/console/approvals", 'id="ladder"'):
        assert ours not in text, ours
    sound = await stranger.get(f"{link}/recording", range="bytes=0-3")
    assert (sound.status_code, sound.content) == (206, b"RIFF")
    assert (await stranger.get(PAGE)).status_code == 303


async def audit(house):
    entries = await house.office.gates.audit("c1")
    return [(one["type"], one["actor"], one["facts"]) for one in entries]


async def test_who_hears_takes_along_or_shares_a_call_is_in_the_audit_and_on_its_page(house):
    await keep(house)
    browser, answer, link = await share(house)
    share_id = re.search(r'name="share_id" value="(\w+)"', answer.text)[1]
    for path in ("recording", "recording?download=1", "call.json"):
        await browser.get(f"{PAGE}/{path}")
    await browser.get(f"{PAGE}/recording", range="bytes=44-")
    stranger = house.browser()
    await stranger.get(link)
    await stranger.get(f"{link}/recording")
    await browser.post(f"{PAGE}/unshare", page=PAGE, share_id=share_id)
    await browser.post(f"{PAGE}/unshare", page=PAGE, share_id=share_id)
    ours = {"via": "console"}
    assert await audit(house) == [
        ("call_shared", "chief", {"share_id": share_id, "hours": 24, **ours}),
        ("recording_played", "chief", ours),
        ("recording_downloaded", "chief", ours),
        ("call_exported", "chief", {"kind": "json", "personal": True, **ours}),
        ("recording_played", f"link {share_id}", {"shared_by": "chief", **ours}),
        ("call_unshared", "chief", {"share_id": share_id, **ours}),
    ]
    assert link.rpartition("/")[2] not in repr(await house.office.gates.evidence())
    told = words(await page(house))
    for line in (
        f"chief made a link to it · by console · for 24 h · link {share_id}",
        "chief downloaded the recording · by console",
        f"whoever has link {share_id} played the recording · by console · link of chief",
    ):
        assert line in told, line
    assert 'href="/console/audit?call=c1"' in await page(house)
    assert "made a link" not in words(await page(house, "anna")), "an approver does not read the audit"
    assert "/console/audit" not in await page(house, "anna")


async def test_what_cannot_be_audited_is_not_given_away(house, monkeypatch):
    await keep(house)
    browser = await house.as_("chief")

    async def full(*_args):
        raise StoreError("no room")

    monkeypatch.setattr(house.office.gates, "note", full)
    for path in ("recording", "recording?download=1", "call.json"):
        answer = await browser.get(f"{PAGE}/{path}")
        assert (answer.status_code, answer.headers["content-type"][:9]) == (503, "text/html"), path
    assert (await share(house))[2] is None


async def test_an_admin_holds_a_call_and_lifts_the_hold_on_its_page(house):
    await keep(house)
    browser = await house.as_("chief")
    assert (await browser.post(f"{PAGE}/hold", page=PAGE, reason="  ")).status_code == 400
    held = await browser.post(f"{PAGE}/hold", page=PAGE, reason=f"case 7 {EVIL}")
    assert held.status_code == 200
    assert re.search(r"Held since .* by chief\. Why: case 7 <svg", words(held.text))
    assert EVIL not in held.text
    anna = words(await page(house, "anna"))
    assert "by chief. Why: case 7" in anna
    assert "Lift the hold" not in anna
    told = words((await (await viewer(house)).get(PAGE)).text)
    assert "by chief." in told
    assert "case 7" not in told
    assert "Lift the hold" in held.text
    freed = await browser.post(f"{PAGE}/release", page=PAGE)
    assert "Held since" not in freed.text
    assert (await (await house.as_("anna")).post(f"{PAGE}/hold", page=PAGE, reason="x")).status_code == 403
    assert await audit(house) == [
        ("held", "chief", {"via": "console"}),
        ("released", "chief", {"via": "console"}),
    ]
    assert "put it under legal hold · by console: case 7" in words(await page(house))


async def test_a_revoked_link_shows_nothing(house):
    await keep(house)
    browser, answer, link = await share(house)
    share_id = re.search(r'name="share_id" value="(\w+)"', answer.text)[1]
    gone = await browser.post(f"{PAGE}/unshare", page=PAGE, share_id=share_id)
    assert 'name="share_id"' not in gone.text
    for path in (link, f"{link}/recording"):
        answer = await house.browser().get(path)
        assert (answer.status_code, "This link shows nothing" in answer.text) == (404, True)


async def test_what_is_erased_is_gone_behind_a_link_too(house):
    await keep(house)
    _, _, link = await share(house)
    await forget(house, "DELETE FROM call_events WHERE type = 'transcript'")
    await forget(house, "UPDATE calls SET recording_path = NULL")
    text = (await house.browser().get(link)).text
    assert "No way" not in text
    assert "<audio" not in text
    await forget(house, "DELETE FROM calls")
    assert (await house.browser().get(link)).status_code == 404


async def test_only_who_may_see_persons_shares_and_only_for_the_times_that_are_offered(house):
    await keep(house)
    browser = await viewer(house)
    assert (await browser.post(f"{PAGE}/share", page="/console/api", hours="24")).status_code == 403
    assert (await share(house, hours="99999"))[1].status_code == 400
    assert (await house.browser().post(f"{PAGE}/share", hours="24")).status_code == 303


async def test_who_tries_many_links_has_to_wait(house):
    await keep(house)
    browser = house.browser()
    answers = [
        (await browser.get(f"/console/shared/{'x' * 42}{place % 10}")).status_code for place in range(22)
    ]
    assert answers[:20] == [404] * 20
    assert answers[-1] == 429


async def tried(house, count, said):
    """The statuses of so many wrong links; `said`: X-Forwarded-For of each."""
    browser, statuses = house.browser(), []
    for place in range(count):
        path = f"/console/shared/{place:x>43}"
        statuses.append((await browser.get(path, **{"x-forwarded-for": said(place)})).status_code)
    return statuses


async def test_behind_a_trusted_proxy_links_are_counted_for_each_client_and_no_invented_address_helps(
    tmp_path,
):
    async with consoles.running(tmp_path, trusted_proxies=["127.0.0.1"]) as house:
        statuses = await tried(house, 22, lambda place: f"10.9.8.{place}, 198.51.100.7")
        assert (statuses[:20], statuses[-1]) == ([404] * 20, 429)
        assert await tried(house, 1, lambda _: "198.51.100.8") == [404], "somebody else behind the same proxy"
        assert await tried(house, 1, lambda _: "198.51.100.7") == [429]


async def test_without_a_trusted_proxy_what_the_header_says_is_nothing(house):
    statuses = await tried(house, 22, lambda place: f"198.51.100.{place}")
    assert (statuses[:20], statuses[-1]) == ([404] * 20, 429)
