"""Trunks on the wire: who is known, by which account, with which codecs; a real pjsua2 endpoint, a raw phone."""

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from bridge.call.callfacts import call_facts, tool_facts
from bridge.dialplan.plan import Plan
from bridge.errors import SipError
from bridge.sip.accounts import Accounts, _Slot
from bridge.sip.events import Confirmed, HangUpBy, HungUp, Replaced, Ringing, TransferProgress
from bridge.sip.headers import parse_invite
from bridge.sip.pace import REST_S
from bridge.trunk import MAX_IDENTITIES, CallerId, Credential, Digest, Trunk
from tests.fakes.rawphone import raw_phone
from tests.sip.test_agent import Desk, event

pytestmark = [pytest.mark.system, pytest.mark.asyncio(loop_scope="session")]
GUARD_S = 20.0
PBX = Trunk("pbx", addresses=("127.0.0.2",), host="127.0.0.2")


async def no_secret(trunk):
    return Credential("u", "", "p")


async def until(condition):
    async with asyncio.timeout(GUARD_S):
        while not condition():  # noqa: ASYNC110  # another thread changes it
            await asyncio.sleep(0.02)


@asynccontextmanager
async def trunks(agent, *some):
    """The trunks in force, and their accounts open, for as long as the block."""
    await agent.use_trunks(some, no_secret)
    await until(lambda: all(trunk.plain or agent._accounts._slot(trunk.name) for trunk in some))
    try:
        yield
    finally:
        await agent.use_trunks((), no_secret)
        await until(lambda: not agent._accounts._slots)


async def answered(agent, phone, *, headers="", body=None):
    desk = Desk(agent)
    invited = asyncio.create_task(phone.invite(body, headers=headers))
    try:
        leg = await desk.leg()
    except TimeoutError:
        raise AssertionError([m.start for m in phone.sip.got]) from None
    assert await leg.answer()
    answer = await invited
    assert answer.status == 200
    await event(leg, Confirmed)
    return leg, answer


async def picked_up(agent, phone, uri=None, **how):
    """A call of ours that the phone answers: (leg, the INVITE)."""
    leg = await agent.call(uri or f"sip:200@{phone.host}:{phone.sip_port}", **how)
    invite = await phone.request("INVITE")
    invite.headers = dict(invite.headers) | {"to": invite.headers["to"] + ";tag=p1"}
    phone.reply(invite, 200, "OK", f"Contact: <sip:200@{phone.host}:{phone.sip_port}>\r\n", phone.sdp())
    await event(leg, Confirmed)
    return leg, invite


async def over(leg, phone):
    if await leg.hang_up(HangUpBy.BRIDGE):
        phone.reply(await phone.request("BYE"))
        await event(leg, HungUp)


async def refused(leg, phone, invite):
    phone.reply(invite, 486, "Busy Here")
    assert (await event(leg, HungUp)).status == 486


def payloads(body):
    return re.search(r"m=audio \d+ RTP/AVP ([0-9 ]+)", body).group(1).split()


# ---- who calls ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("host", "name"), [("127.0.0.2", "pbx"), ("127.0.0.3", "")])
async def test_a_call_is_known_by_its_address(agent, host, name):
    async with trunks(agent, PBX), raw_phone(agent.info.port, host) as phone:
        leg, _ = await answered(agent, phone)
        assert (leg.invite.trunk, leg.trunk) == (name, PBX if name else None)
        await over(leg, phone)


async def test_the_smallest_network_wins(agent):
    wide = Trunk("wide", addresses=("127.0.0.0/8",))
    async with trunks(agent, wide, PBX), raw_phone(agent.info.port, "127.0.0.2") as phone:
        leg, _ = await answered(agent, phone)
        assert leg.invite.trunk == "pbx"
        await over(leg, phone)


@pytest.mark.parametrize(
    ("host", "trusted", "word"),
    [("127.0.0.2", True, "TN-Validation-Passed"), ("127.0.0.2", False, ""), ("127.0.0.3", True, "")],
)
async def test_only_a_trusted_trunks_word_on_the_callers_number_counts(agent, host, trusted, word):
    trunk = replace(PBX, verstat=trusted)
    async with trunks(agent, trunk), raw_phone(agent.info.port, host) as phone:
        header = "P-Asserted-Identity: <sip:+49301;verstat=TN-Validation-Passed@x>\r\n"
        leg, _ = await answered(agent, phone, headers=header)
        facts = call_facts(leg, Plan((), ()))
        assert tool_facts(facts, leg, ())["verstat"] == word
        assert facts.trunk == ("pbx" if host == "127.0.0.2" else "")
        await over(leg, phone)


# ---- how we call -------------------------------------------------------------------------------------------------


async def test_the_caller_id_of_the_trunk_is_shown_and_headers_do_not_get_round_it(agent):
    rules = CallerId("+4930123", "Acme", "acme.example", asserted=True)
    trunk = Trunk("out", host="127.0.0.1", caller_id=rules)
    async with trunks(agent, trunk), raw_phone(agent.info.port) as phone:
        leg, invite = await picked_up(
            agent,
            phone,
            trunk="out",
            from_uri="<sip:+1900@evil>",
            headers={"p-asserted-identity": "<sip:evil@x>"},
        )
        assert invite.headers["from"].startswith('"Acme" <sip:+4930123@acme.example>;tag=')
        assert invite.headers["p-asserted-identity"] == "<sip:+4930123@acme.example>"
        await over(leg, phone)


async def test_an_anonymous_call_says_nothing_of_us_but_to_the_trunk(agent):
    rules = CallerId("+4930123", host="acme.example", asserted=True, anonymous=True)
    trunk = Trunk("out", host="127.0.0.1", caller_id=rules)
    async with trunks(agent, trunk), raw_phone(agent.info.port) as phone:
        leg, invite = await picked_up(agent, phone, trunk="out")
        assert invite.headers["from"].startswith('"Anonymous" <sip:anonymous@anonymous.invalid>')
        assert invite.headers["privacy"] == "id"
        assert invite.headers["p-asserted-identity"] == "<sip:+4930123@acme.example>"
        await over(leg, phone)


async def test_calls_go_through_the_outbound_proxy(agent):
    async with raw_phone(agent.info.port) as proxy:
        trunk = Trunk("out", host="carrier.invalid", proxy=f"127.0.0.1:{proxy.sip_port}")
        async with trunks(agent, trunk):
            leg, invite = await picked_up(agent, proxy, trunk.uri("+49301"), trunk="out")
            assert invite.start.startswith("INVITE sip:+49301@carrier.invalid ")
            assert f"<sip:127.0.0.1:{proxy.sip_port};lr>" in invite.headers["route"]
            await over(leg, proxy)


async def test_a_tel_target_goes_to_the_trunks_host(agent):
    async with raw_phone(agent.info.port) as carrier:
        trunk = Trunk("out", host=f"127.0.0.1:{carrier.sip_port}", target="tel:{number}")
        async with trunks(agent, trunk):
            leg, invite = await picked_up(agent, carrier, trunk.uri("+49301"), trunk="out")
            assert invite.start.startswith("INVITE tel:+49301 ")
            await over(leg, carrier)


async def test_a_call_by_a_trunk_nobody_knows_is_not_placed(agent):
    with pytest.raises(SipError, match="there is no trunk nobody"):
        await agent.call("sip:1@127.0.0.1", trunk="nobody")


async def test_more_identities_than_pjsua_has_room_for_are_refused_and_the_process_lives(agent):
    many = [Trunk(f"t{n}", host=f"h{n}", proxy=f"127.0.0.1:{4000 + n}") for n in range(MAX_IDENTITIES + 2)]
    async with trunks(agent, *many[:MAX_IDENTITIES]):
        await agent.use_trunks(many, no_secret)
        await until(lambda: "every account is in use" in agent.trunk_facts[many[-1].name]["problem"])
        with pytest.raises(SipError, match="not ready"):
            await agent.call("sip:1@127.0.0.1", trunk=many[-1].name)


async def test_trunks_with_the_same_identity_share_an_account(agent):
    digest = Digest("u", "", "X")
    many = [Trunk(f"t{n}", host=f"h{n}", digest=digest) for n in range(20)]
    async with trunks(agent, *many):
        assert len(agent._accounts._slots) == 1


async def test_a_call_on_a_shared_registration_is_the_same_trunks_in_every_process(agent):
    names = [f"t{n}" for n in range(20, 40)]
    slot = _Slot((), None, None, registers=True, names=set(names))
    accounts = Accounts(agent._sip, agent)
    accounts._slots.append(slot)
    for left in (names, names[5:], names[11:]):
        slot.names = set(left)
        message = f"INVITE sip:1@w;line={slot.token} SIP/2.0\r\nFrom: <sip:x@y>\r\n\r\n"
        assert accounts.trunk_of(parse_invite(message, "10.0.0.9:5060")) == left[0]


async def test_the_account_of_a_trunk_that_went_stays_until_its_call_is_over(agent):
    trunk = Trunk("out", host="x", digest=Digest("u", "", "X"))
    async with raw_phone(agent.info.port) as phone:
        async with trunks(agent, trunk):
            leg, _ = await picked_up(agent, phone, trunk="out")
            await agent.use_trunks((), no_secret)
            await asyncio.sleep(0.3)
            assert len(agent._accounts._slots) == 1
            await over(leg, phone)
        assert not agent._accounts._slots


async def test_the_account_of_a_trunk_that_went_stays_until_its_options_are_answered(agent):
    """pjsip aborts the process when the answer finds no account."""
    async with raw_phone(agent.info.port) as phone:
        host = f"127.0.0.1:{phone.sip_port}"
        trunk = Trunk("out", host=host, digest=Digest("u", "", "X"), options_every_s=30)
        async with trunks(agent, trunk):
            options = await phone.request("OPTIONS")
            await agent.use_trunks((), no_secret)
            await asyncio.sleep(0.3)
            assert len(agent._accounts._slots) == 1
            phone.reply(options)
        assert not agent._accounts._slots


# ---- codecs, digits ----------------------------------------------------------------------------------------------


async def test_calls_to_a_trunk_offer_its_codecs_only(agent):
    trunk = Trunk("out", host="x", codecs=("PCMA",))
    async with trunks(agent, trunk), raw_phone(agent.info.port) as phone:
        leg = await agent.call(f"sip:200@127.0.0.1:{phone.sip_port}", trunk="out")
        invite = await phone.request("INVITE")
        offer = invite.body
        assert payloads(offer)[0] == "8"
        assert "0" not in payloads(offer)
        assert "PCMU" not in offer
        assert "telephone-event" in offer
        await refused(leg, phone, invite)


@pytest.mark.parametrize("codecs", [("PCMA",), ("PCMA", "PCMU")])
async def test_calls_from_a_trunk_get_its_best_codec(agent, codecs):
    trunk = Trunk("pbx", addresses=("127.0.0.2",), codecs=codecs)
    async with trunks(agent, trunk), raw_phone(agent.info.port, "127.0.0.2") as phone:
        leg, answer = await answered(agent, phone, body=phone.sdp(codecs=(0, 8)))
        assert ("8" in payloads(answer.body), len(codecs) == 1) in {
            (True, True),
            (True, False),
            (False, False),
        }
        assert leg.media.codec == "PCMA" if len(codecs) == 1 else leg.media.codec in codecs
        await over(leg, phone)


async def test_a_trunks_call_without_a_codec_of_the_trunk_gets_488_at_once(agent):
    trunk = Trunk("pbx", addresses=("127.0.0.2",), codecs=("PCMA",))
    async with trunks(agent, trunk), raw_phone(agent.info.port, "127.0.0.2") as phone:
        desk = Desk(agent)
        assert (await phone.invite(phone.sdp(codecs=(0,)))).status == 488
        (refusal,) = desk.refused
        assert (refusal[1].trunk, refusal[2]) == ("pbx", 488)
        assert desk.legs.empty()


async def test_digits_go_out_by_info_on_a_trunk_that_wants_them_so(agent):
    trunk = Trunk("pbx", addresses=("127.0.0.2",), dtmf="info")
    async with trunks(agent, trunk), raw_phone(agent.info.port, "127.0.0.2") as phone:
        leg, _ = await answered(agent, phone)
        assert await leg.send_dtmf("7")
        info = await phone.request("INFO")
        phone.reply(info)
        assert info.headers["content-type"] == "application/dtmf-relay"
        assert "Signal=7" in info.body.replace(" ", "")
        await over(leg, phone)


# ---- session timers, PRACK ---------------------------------------------------------------------------------------


async def test_a_required_session_timer_is_asked_for(agent):
    """That the refresh follows after half of the 90 s was seen by hand: RFC 4028 allows no shorter session."""
    trunk = Trunk("out", host="x", session_timer="required", session_expires_s=90)
    async with trunks(agent, trunk), raw_phone(agent.info.port) as phone:
        leg = await agent.call(f"sip:200@127.0.0.1:{phone.sip_port}", trunk="out")
        invite = await phone.request("INVITE")
        assert "timer" in invite.headers["require"]
        assert (invite.headers["session-expires"], invite.headers["min-se"]) == ("90", "90")
        await refused(leg, phone, invite)


async def test_a_trunks_session_is_refreshed_by_the_trunk_when_it_says_so(agent):
    trunk = Trunk("pbx", addresses=("127.0.0.2",), session_timer="required", session_expires_s=90)
    async with trunks(agent, trunk), raw_phone(agent.info.port, "127.0.0.2") as phone:
        timer = "Supported: timer\r\nSession-Expires: 120;refresher=uac\r\nMin-SE: 90\r\n"
        leg, answer = await answered(agent, phone, headers=timer)
        assert answer.headers["session-expires"] == "120;refresher=uac"
        assert "timer" in answer.headers["require"]
        refreshed = await phone.response(phone.request_out("UPDATE", headers=timer), "UPDATE")
        assert (refreshed.status, refreshed.headers["session-expires"]) == (200, "120;refresher=uac")
        await over(leg, phone)


async def test_a_session_too_short_to_refresh_is_refused_with_the_shortest(agent):
    trunk = Trunk("pbx", addresses=("127.0.0.2",), session_timer="required")
    async with trunks(agent, trunk), raw_phone(agent.info.port, "127.0.0.2") as phone:
        answer = await phone.invite(headers="Supported: timer\r\nSession-Expires: 30\r\n")
        assert (answer.status, answer.headers["min-se"]) == (422, "90")


async def test_without_session_timers_none_is_offered(agent):
    trunk = Trunk("out", host="x", session_timer="off")
    async with trunks(agent, trunk), raw_phone(agent.info.port) as phone:
        leg = await agent.call(f"sip:200@127.0.0.1:{phone.sip_port}", trunk="out")
        invite = await phone.request("INVITE")
        assert "session-expires" not in invite.headers
        assert "timer" not in invite.headers.get("supported", "")
        await refused(leg, phone, invite)


async def test_ringing_is_sent_reliably_to_a_trunk_that_requires_it(agent):
    trunk = Trunk("pbx", addresses=("127.0.0.2",), prack="required")
    async with trunks(agent, trunk), raw_phone(agent.info.port, "127.0.0.2") as phone:
        desk = Desk(agent)
        number = phone.request_out("INVITE", body=phone.sdp(), headers="Supported: 100rel\r\n")
        leg = await desk.leg()
        assert await leg.ring()
        ringing = await phone.response(number, at_least=180)
        assert "100rel" in ringing.headers["require"]
        phone.take(ringing)
        rack = f"RAck: {ringing.headers['rseq']} {number} INVITE\r\n"
        assert (await phone.response(phone.request_out("PRACK", headers=rack), "PRACK")).status == 200
        assert await leg.answer()
        answer = await phone.response(number)
        phone.ack(number)
        assert answer.status == 200
        await event(leg, Confirmed)
        await over(leg, phone)


async def test_reliable_ringing_of_a_trunk_is_acknowledged_with_prack(agent):
    trunk = Trunk("out", host="x", prack="optional")
    async with trunks(agent, trunk), raw_phone(agent.info.port) as phone:
        leg = await agent.call(f"sip:200@127.0.0.1:{phone.sip_port}", trunk="out")
        invite = await phone.request("INVITE")
        assert "100rel" in invite.headers["supported"]
        invite.headers = dict(invite.headers) | {"to": invite.headers["to"] + ";tag=p1"}
        contact = f"Contact: <sip:200@127.0.0.1:{phone.sip_port}>\r\n"
        phone.reply(invite, 180, "Ringing", f"{contact}Require: 100rel\r\nRSeq: 9\r\n")
        prack = await phone.request("PRACK")
        phone.reply(prack)
        assert prack.headers["rack"] == f"9 {invite.headers['cseq']}"
        await event(leg, Ringing)
        await refused(leg, phone, invite)


# ---- early media -------------------------------------------------------------------------------------------------


async def test_early_media_is_heard_before_the_answer_and_goes_on_after_it(agent):
    desk = Desk(agent)
    async with raw_phone(agent.info.port) as phone:
        number = phone.request_out("INVITE", body=phone.sdp())
        leg = await desk.leg()
        assert await leg.early_media()
        leg.audio.start()
        leg.audio.play("ringback", b"\x00\x40" * 16000)
        progress = await phone.response(number, at_least=183)
        assert (progress.status, "m=audio" in progress.body) == (183, True)
        phone.take(progress)
        await phone.heard(10)
        assert not any(m.status == 200 for m in phone.sip.got)
        assert await leg.answer()
        leg.audio.start()
        answer = await phone.response(number)
        phone.ack(number)
        assert answer.body.split("\r\n")[1:] == progress.body.split("\r\n")[1:]
        await event(leg, Confirmed)
        await phone.heard(30)
        sequence = [packet.sequence for packet in phone.rtp.got if packet.payload_type == 0]
        assert sequence == list(range(sequence[0], sequence[0] + len(sequence)))
        await over(leg, phone)


# ---- transfers and Replaces --------------------------------------------------------------------------------------


async def test_context_goes_along_with_a_transfer(agent):
    async with raw_phone(agent.info.port) as phone:
        leg, _ = await answered(agent, phone)
        assert await leg.transfer("sip:9@pbx", {"X-Context": "order 7; ü?&"})
        refer = await phone.request("REFER")
        phone.reply(refer, 202, "Accepted")
        assert refer.headers["refer-to"] == "<sip:9@pbx?X-Context=order%207%3B%20%C3%BC?%26>"
        await over(leg, phone)


@pytest.mark.parametrize("name", ["Route", "from", "Replaces", "X Y", "X:Y", "i"])
async def test_a_header_that_changes_the_call_does_not_go_along(agent, name):
    async with raw_phone(agent.info.port) as phone:
        leg, _ = await answered(agent, phone)
        with pytest.raises(SipError, match="cannot go along"):
            await leg.transfer("sip:9@pbx", {name: "x"})
        await over(leg, phone)


async def test_an_attended_transfer_refers_one_peer_to_the_dialog_of_the_other(agent):
    async with raw_phone(agent.info.port) as caller, raw_phone(agent.info.port) as colleague:
        leg, _ = await answered(agent, caller)
        other, invite = await picked_up(agent, colleague)
        assert await leg.transfer_to(other)
        refer = await caller.request("REFER")
        wanted = (
            f"Replaces={invite.headers['call-id'].replace('@', '%40')}%3Bto-tag%3Dp1%3Bfrom-tag%3D"
            + re.search(r";tag=(.*)", invite.headers["from"]).group(1)
        )
        assert wanted in refer.headers["refer-to"]
        caller.reply(refer, 202, "Accepted")
        number = caller.request_out(
            "NOTIFY",
            headers="Event: refer\r\nSubscription-State: terminated;reason=noresource\r\n",
            body="SIP/2.0 200 OK\r\n",
            kind="message/sipfrag",
        )
        assert (await caller.response(number, "NOTIFY")).status == 200
        assert await event(leg, TransferProgress) == TransferProgress(100, "Accepted", final=False)
        assert await event(leg, TransferProgress) == TransferProgress(200, "OK", final=True)
        await over(other, colleague)
        await over(leg, caller)


def replaces(phone, answer):
    """The Replaces header that names the dialog of a phone that called us."""
    ours = re.search(r";tag=([^;\s]+)", answer.headers["to"]).group(1)
    return f"Replaces: {phone.call_id};to-tag={ours};from-tag=r1\r\n"


async def test_a_call_goes_on_with_the_peer_that_replaces_the_old_one(agent):
    async with raw_phone(agent.info.port) as old, raw_phone(agent.info.port) as new:
        leg, answer = await answered(agent, old)
        leg.audio.start()
        leg.audio.play("a", b"\x00\x40" * 8 * 4000)
        await old.heard(3)
        assert (await new.invite(headers=replaces(old, answer))).status == 200
        old.reply(await old.request("BYE"))
        assert (await event(leg, Replaced)).invite.sip_call_id == new.call_id
        await new.heard(10)
        await new.speak(100)
        async with asyncio.timeout(GUARD_S):
            while not any(await leg.audio.read()):
                pass
        assert not leg.ended
        assert (await new.response(new.request_out("OPTIONS"), "OPTIONS")).status == 200
        await over(leg, new)


async def test_a_replaced_call_leaves_no_line_behind(agent):
    await asyncio.sleep(REST_S)  # so many calls at once are refused: see bridge/sip/pace.py
    for _ in range(5):  # more than pjsua has lines
        async with raw_phone(agent.info.port) as old, raw_phone(agent.info.port) as new:
            leg, answer = await answered(agent, old)
            assert (await new.invite(headers=replaces(old, answer))).status == 200
            old.reply(await old.request("BYE"))
            assert (await new.bye()).status == 200
            assert (await event(leg, HungUp)).status == 200
    await asyncio.sleep(REST_S)


@pytest.mark.parametrize(
    ("old_words", "words"),
    [
        ("c=IN IP4 127.0.0.1", "c=IN IP4 999.1.1.1"),
        ("c=IN IP4 127.0.0.1", "c=IN IP4 no.such.invalid"),
        ("c=IN IP4 127.0.0.1", "c=IN IP6 ::1"),
        ("a=ptime:20", "a=ptime:5000"),
        ("a=ptime:20", "a=rtcp:4001 IN IP4 999.1.1.1"),
        ("RTP/AVP 0 101", "RTP/AVP 101"),
    ],
)
async def test_a_call_stays_when_the_peer_that_would_replace_the_old_one_cannot_be_heard(
    agent, old_words, words
):
    async with raw_phone(agent.info.port) as old, raw_phone(agent.info.port) as new:
        leg, answer = await answered(agent, old)
        body = new.sdp().replace(old_words, words)
        assert words in body
        assert (await new.invite(body, headers=replaces(old, answer))).status == 488
        assert (await old.response(old.request_out("OPTIONS"), "OPTIONS")).status == 200
        assert not leg.ended
        await over(leg, old)


async def test_a_stranger_does_not_take_over_a_call(agent):
    async with raw_phone(agent.info.port) as old, raw_phone(agent.info.port, "127.0.0.3") as thief:
        leg, answer = await answered(agent, old)
        assert (await thief.invite(headers=replaces(old, answer))).status == 403
        assert not leg.ended
        await over(leg, old)


@pytest.mark.parametrize(("host", "status"), [("127.0.0.2", 200), ("127.0.0.1", 403)])
async def test_only_the_same_trunk_takes_over_its_call(agent, host, status):
    pbx = Trunk("pbx", addresses=("127.0.0.2", "127.0.0.4"))
    port = agent.info.port
    async with trunks(agent, pbx), raw_phone(port, "127.0.0.4") as old, raw_phone(port, host) as new:
        leg, answer = await answered(agent, old)
        assert (await new.invite(headers=replaces(old, answer))).status == status
        if status == 200:
            old.reply(await old.request("BYE"))
        await over(leg, new if status == 200 else old)


@pytest.mark.parametrize("header", ["Replaces: nobody;to-tag=a;from-tag=b\r\n", "Replaces: x\r\n"])
async def test_a_replaces_of_no_call_of_ours_is_refused_and_is_no_new_call(agent, header):
    desk = Desk(agent)
    async with raw_phone(agent.info.port) as phone:
        assert (await phone.invite(headers=header)).status in {400, 481}
        assert desk.legs.empty()


async def test_a_call_that_only_rings_is_not_replaced(agent):
    desk = Desk(agent)
    async with raw_phone(agent.info.port) as old, raw_phone(agent.info.port) as new:
        number = old.request_out("INVITE", body=old.sdp())
        leg = await desk.leg()
        assert await leg.ring()
        ringing = await old.response(number, at_least=180)
        assert (await new.invite(headers=replaces(old, ringing))).status == 481
        assert not leg.ended
        await leg.hang_up(HangUpBy.BRIDGE, 486)
