"""Calls that were: what a filter finds, page by page, in steps that the calls do not notice. SQLite and PostgreSQL."""

import pytest
import sqlalchemy as sa

from bridge.records.search import Filter, Place, read, troubled
from bridge.store.historystore import HistoryStore, Looks
from bridge.store.store import Store
from tests.fakes.events import Script, conversation

T0 = 1_795_000_000.0


def call(call_id, at, boot=None, **started):
    script = Script(call_id=call_id, boot=boot or f"b-{call_id}", at=at)
    facts = {"direction": "inbound", "from": "+4930111", "to": "+4930999", "route": "desk", "agent": "front"}
    return script.tell("call.started", **(facts | started))


def answered(script, talked_s=10.0, by="caller", status=200, reason="", **end):
    script.tell("call.answered", 1.0, codec="PCMU", ptime_ms=20)
    return script.tell("call.ended", talked_s, by=by, status=status, reason=reason, **end)


async def keep(store, *scripts):
    for script in scripts:
        await store.write(0, script.events)


@pytest.fixture
async def store(database):
    async with Store(database, node="n1") as opened:
        yield opened


async def found(store, limit=50, after=None, looks=None, **wanted):
    page = await HistoryStore(store, looks or Looks()).page(Filter(**wanted), after, limit)
    return [record.call_id for record in page.records]


async def test_the_newest_come_first_and_pages_follow_one_another_without_gap_or_double(store):
    await keep(store, *(call(f"c{number:02}", T0 + number // 3) for number in range(10)))
    history, seen, after = HistoryStore(store), [], None
    for _ in range(10):
        page = await history.page(Filter(), after, 3)
        seen += [record.call_id for record in page.records]
        after = page.next
        if after is None:
            break
    assert seen == ["c09", "c08", "c07", "c06", "c05", "c04", "c03", "c02", "c01", "c00"]


async def test_a_page_stays_true_while_calls_come_and_go(store):
    await keep(store, *(call(f"c{number}", T0 + number) for number in range(6)))
    first = await HistoryStore(store).page(Filter(), None, 2)
    await keep(store, call("new", T0 + 99))
    assert await found(store, limit=2, after=first.next) == ["c3", "c2"]


async def test_a_filter_that_fits_nothing_looks_at_everything_in_bounded_steps(store):
    await keep(store, *(call(f"c{number}", T0 + number, **{"from": f"+49{number}"}) for number in range(11)))
    assert await found(store, number="490", looks=Looks(window=4)) == ["c0"]
    assert await found(store, number="nobody", looks=Looks(window=4)) == []


async def test_when_time_is_up_the_page_says_how_far_was_looked_and_goes_on_from_there(store):
    await keep(store, *(call(f"c{number:02}", T0 + number) for number in range(9)))
    history, wanted = HistoryStore(store, Looks(window=4)), Filter(route="other")
    page = await history.page(wanted, None, 5, within_s=0.0)
    assert (page.records, page.cut, page.next) == ((), True, Place(T0 + 5, "c05"))
    page = await history.page(wanted, page.next, 5)
    assert (page.records, page.cut, page.next) == ((), False, None)


async def test_numbers_are_found_by_their_end_on_either_side_and_signs_of_like_are_only_signs(store):
    await keep(store, call("a", T0), call("b", T0 + 1, **{"from": "+4911", "to": "+4930111"}))
    await keep(store, call("c", T0 + 2, **{"from": "anonymous", "to": "100"}))
    assert await found(store, number="0111") == ["b", "a"]
    assert await found(store, number="+4930111") == ["b", "a"]
    assert await found(store, number="%") == await found(store, number="_11") == []


async def test_every_field_finds_what_it_says(store):
    await keep(
        store,
        call("live", T0 + 9, direction="outbound"),
        answered(call("good", T0 + 8), talked_s=30, reason="BYE"),
        call("missed", T0 + 7).tell("call.ended", 5, by="caller", status=487),
        call("refused", T0 + 6, route="", agent="").tell("call.ended", 0.1, by="bridge", status=404),
        answered(call("short", T0 + 5, agent="back"), talked_s=2, by="agent", reason="goodbye"),
        answered(call("dead", T0 + 4), by="bridge", status=None, reason="worker_died", detail="exit 139"),
    )
    for wanted, ids in (
        ({"outcome": "live"}, ["live"]),
        ({"outcome": "answered"}, ["good", "short", "dead"]),
        ({"outcome": "missed"}, ["missed"]),
        ({"outcome": "refused"}, ["refused"]),
        ({"direction": "outbound"}, ["live"]),
        ({"ended_by": "agent"}, ["short"]),
        ({"reason": "GOOD"}, ["short"]),
        ({"reason": "exit 1"}, ["dead"]),
        ({"route": "desk", "agent": "back"}, ["short"]),
        ({"node": "n1", "longest_s": 3}, ["live", "missed", "refused", "short"]),
        ({"shortest_s": 11}, ["good"]),
        ({"trouble": True}, ["dead"]),
        ({"since": T0 + 5, "until": T0 + 7}, ["missed", "refused", "short"]),
    ):
        assert await found(store, **wanted) == ids, wanted


async def test_trouble_means_the_same_in_the_database_as_on_the_page(store):
    ends = [
        {"by": by, "status": status, "reason": reason}
        for by in ("caller", "bridge", "network")
        for status in (None, 200, 404, 500)
        for reason in ("", "worker_died")
    ]
    scripts = [answered(call(f"c{number:02}", T0 + number), **end) for number, end in enumerate(ends)]
    scripts += [call("error", T0 - 1).tell("error", where="x", code="y", message="z")]
    scripts += [call("model", T0 - 2).tell("session.failed", code="x", message="y")]
    scripts += [call("sound", T0 - 3).tell("media", mos=2.0), call("fine", T0 - 4).tell("media", mos=4.0)]
    await keep(store, *scripts)
    everything = (await HistoryStore(store).page(Filter(), None, 50)).records
    assert await found(store, trouble=True) == [one.call_id for one in everything if troubled(one)]


async def test_words_are_found_in_what_was_said_and_not_in_how_it_is_kept(store):
    def said(call_id, at, text, who="caller"):
        return call(call_id, at).tell("transcript", who=who, item_id="i1", text=text)

    await keep(
        store,
        said("a", T0, "I want my MONEY back"),
        said("b", T0 + 1, "Ich möchte Äpfel"),
        said("c", T0 + 2, 'he said "no"', who="agent"),
        call("d", T0 + 3).tell("function_call", name="x", arguments="money back", call_id="f"),
    )
    assert await found(store, words="money back") == ["a"]
    assert await found(store, words="äpfel") == await found(store, words="MÖCHTE ä") == ["b"]
    assert await found(store, words='"NO"') == ["c"]
    assert await found(store, words="item_id") == await found(store, words="caller") == []


async def test_barge_ins_and_requests_that_a_person_was_asked_about_are_found(store):
    await keep(store, call("plain", T0), call("cut", T0 + 1).tell("barge_in", item_id="i"))
    asked = call("asked", T0 + 2).tell("tool.state", function="f1", state="pending", tool="pay")
    allowed = call("allowed", T0 + 3).tell("tool.state", function="f1", state="succeeded", tool="look")
    await keep(store, asked, allowed)
    for call_id in ("asked", "allowed"):
        await store.transaction("test", lambda it, call_id=call_id: it.execute(request_row(call_id)))
    assert await found(store, barge_ins=True) == ["cut"]
    assert await found(store, approvals=True) == ["asked"]
    assert await HistoryStore(store).asked(["asked", "plain"]) == {"asked": 1}
    assert await HistoryStore(store).asked([]) == {}


def request_row(call_id):
    from bridge.store.tables import tool_requests

    values = {"request_id": f"r-{call_id}", "call_id": call_id, "function_call_id": "f1", "tool": "pay"}
    rest = {"state": "succeeded", "version": 1, "gate": "{}", "created_at": T0, "updated_at": T0}
    return sa.insert(tool_requests).values(values | rest)


async def test_one_call_is_there_with_its_events_and_requests_or_not_at_all(store):
    await store.write(0, conversation(call_id="c1"))
    await store.transaction("test", lambda it: it.execute(request_row("c1")))
    one = await HistoryStore(store).one("c1")
    assert one.record.call_id == "c1"
    assert [event.type for event in one.events][:2] == ["call.started", "session.connecting"]
    assert [request.request_id for request in one.requests] == ["r-c1"]
    assert one.complete
    assert await HistoryStore(store).one("c") is None


async def test_of_a_call_without_end_only_so_many_events_are_read(store):
    await store.write(0, conversation(call_id="c1"))
    one = await HistoryStore(store, Looks(events=5)).one("c1")
    assert (len(one.events), one.complete) == (5, False)


async def test_the_database_walks_an_index_and_sorts_nothing(store):
    await keep(store, *(call(f"c{number}", T0 + number) for number in range(5)))
    postgres = store.shared
    explain = "EXPLAIN" if postgres else "EXPLAIN QUERY PLAN"
    row = sa.text(
        f"{explain} SELECT started_at, call_id FROM calls WHERE started_at <= 1e9 AND (started_at < 1e9 OR "
        "call_id < 'x') ORDER BY started_at DESC, call_id DESC LIMIT 1 OFFSET 1999"
    )

    def work(connection):
        if postgres:
            for other in ("seqscan", "bitmapscan", "sort"):  # five rows are not worth an index
                connection.execute(sa.text(f"SET LOCAL enable_{other} = off"))
        return [one[-1] for one in connection.execute(row)]

    plan = await store.transaction("test", work)
    assert "calls_history" in " ".join(plan), plan
    assert not [line for line in plan if "Sort" in line or "B-TREE" in line], plan


def test_a_search_for_nothing_is_no_search():
    assert read({"words": ""})[0] == Filter()
