"""The page of the audit: what is found by what, shown as text, in pages, as a file; how far the chain holds."""

import json
import re
import time
from dataclasses import replace

import pytest

from bridge.console.auditpage import sought_of
from bridge.console.banners import Worries
from bridge.console.healthfacts import Chain, Facts
from bridge.console.lists import ListLimits
from bridge.store.auditstore import Sought
from bridge.store.gatestore import NewAudit
from bridge.store.userstore import User
from tests.fakes import console as consoles
from tests.fakes.console import words

PAGE = "/console/audit"
EVIL = "<script>alert(1)</script>"
FEW = ListLimits(page=2, file_page=2)
T0 = 1_795_000_000.0


class Looked:
    """A health that knows of nothing but the chain."""

    def __init__(self, chain):
        self.chain = chain

    async def facts(self):
        return Facts(0.0)

    async def worries(self):
        return Worries(audit=self.chain)


@pytest.fixture
async def house(tmp_path):
    async with consoles.running(tmp_path) as found:
        note = found.office.gates.note
        await note(NewAudit("held", "anna", {"via": "console"}, {"reason": EVIL}), "", T0, "call/1")
        await note(NewAudit("calls_exported", "bert", {"kind": "csv", "filter": {}}), "", T0 + 60)
        await note(NewAudit("user_added", "anna", {"whose": "carl"}), "", T0 + 120)
        yield found


def seqs(text):
    return [int(seq) for seq in re.findall(r"Entry (\d+)</summary>", text)]


async def found_by(browser, query):
    return seqs((await browser.get(f"{PAGE}?{query}")).text)


async def test_entries_are_told_in_words_newest_first_with_who_and_the_raw_entry_folded_in(house):
    page = (await (await house.as_("chief")).get(PAGE)).text
    assert seqs(page) == [3, 2, 1]
    shown = words(page)
    assert "anna added a user · carl" in shown
    assert "bert took records of calls along as a file · csv" in shown
    assert '"type": "user_added"' in shown
    assert 'href="/console/history/call/1"' in page


async def test_what_others_wrote_is_shown_as_text(house):
    note = house.office.gates.note
    await note(NewAudit(EVIL, EVIL, {"via": EVIL, "tool": EVIL}, {"reason": EVIL}), EVIL, T0, EVIL)
    browser = await house.as_("chief")
    for query in ("", f"?by={EVIL}&call={EVIL}&type={EVIL}", "?type=no_such_thing"):
        page = await browser.get(PAGE + query)
        assert page.status_code == 200
        assert EVIL not in page.text
    assert EVIL in words((await browser.get(PAGE)).text)


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ("by=anna", [3, 1]), ("type=held", [1]), ("call=call/1", [1]), ("type=nothing_like_it", []),
        (f"since={T0 + 60}", [3, 2]), (f"until={T0 + 60}", [2, 1]), (f"by=anna&since={T0 + 1}&until={T0 + 500}", [3]),
    ],
)  # fmt: skip
async def test_entries_are_found_by_who_what_call_and_time(house, query, wanted):
    assert await found_by(await house.as_("chief"), query) == wanted


async def test_what_was_looked_for_stays_in_the_form_and_in_the_links(tmp_path):
    async with consoles.running(tmp_path, more={"lists": FEW}) as house:
        for number in range(5):
            await house.office.gates.note(NewAudit("held", "anna", {}), "", T0 + number, "c1")
        browser, seen, path = await house.as_("chief"), [], f"{PAGE}?by=anna&type=held"
        while path:
            page = (await browser.get(path)).text
            seen.append(seqs(page))
            assert 'value="anna"' in page
            assert '<option value="held" selected>' in page
            assert f'href="{PAGE}/export.jsonl?by=anna&amp;type=held"' in page
            older = re.search(r'rel="next" href="([^"]+)"', page)
            path = older[1].replace("&amp;", "&") if older else ""
        assert seen == [[5, 4], [3, 2], [1]]
        assert f'href="{PAGE}?by=anna&amp;type=held">Newest' in page


async def test_what_is_not_understood_is_said_and_the_rest_is_searched(house):
    browser = await house.as_("chief")
    page = (await browser.get(f"{PAGE}?since=tomorrow&by=bert&type=4711&before=x")).text
    assert "Not understood, and left out: What, From, Page." in words(page)
    assert seqs(page) == [2]


async def test_a_request_has_its_function_and_leads_to_its_page_while_that_is_there(house):
    await house.office.call()
    browser = await house.as_("chief")
    page = (await browser.get(f"{PAGE}?type=requested")).text
    (request,) = await house.office.gates.requests()
    assert f'<a href="/console/approvals/{request.request_id}">pay</a>' in page
    assert (
        f'href="{PAGE}?call={request.call_id}"'
        in (await browser.get(f"/console/approvals/{request.request_id}")).text
    )
    await house.office.users.put(User("paul", frozenset({"approver"}), frozenset({"finance"})))
    seen_by_paul = (await (await house.as_("paul")).get(f"/console/approvals/{request.request_id}")).text
    assert f"{PAGE}?call=" not in seen_by_paul


async def test_what_is_erased_is_gone_here_too(house):
    await house.office.gates.note(NewAudit("denied", "anna", {}, {"reason": "my secret"}), "", T0, "c9")
    browser = await house.as_("chief")
    assert "my secret" in (await browser.get(PAGE)).text
    await house.office.gates.erase("c9", "root", T0)
    assert "my secret" not in (await browser.get(PAGE)).text
    assert "my secret" not in (await browser.get(f"{PAGE}/export.jsonl")).text


@pytest.mark.parametrize(("role", "status"), [("operator", 200), ("approver", 403), ("viewer", 403)])
async def test_the_page_is_for_who_may_read_the_audit_by_the_api(house, role, status):
    await house.office.users.put(User("vera", frozenset({role}), frozenset()))
    browser = await house.as_("vera")
    assert (await browser.get(PAGE)).status_code == status
    assert (await browser.get(f"{PAGE}/export.jsonl")).status_code == status
    assert (f'href="{PAGE}"' in (await browser.get("/console/approvals")).text) == (status == 200)


async def test_what_was_found_is_a_file_of_json_lines_and_in_the_audit_without_what_was_typed(tmp_path):
    async with consoles.running(tmp_path, more={"lists": FEW}) as house:
        for number in range(5):
            await house.office.gates.note(NewAudit("held", "anna", {"n": number}), "", T0 + number, "c1")
        answer = await (await house.as_("chief")).get(
            f"{PAGE}/export.jsonl?by=anna&call=c1&type=held&since=5"
        )
        assert answer.headers["content-type"] == "application/jsonl; charset=utf-8"
        assert re.fullmatch(
            r'attachment; filename="audit-[\d-]+\.jsonl"', answer.headers["content-disposition"]
        )
        lines = [json.loads(line) for line in answer.text.splitlines()]
        assert [(one["seq"], one["facts"]["n"], len(one["hash"])) for one in lines] == [
            (seq, seq - 1, 64) for seq in (5, 4, 3, 2, 1)
        ]
        (told,) = [one for one in await house.office.gates.audit() if one["type"] == "audit_exported"]
        assert told["facts"] == {
            "kind": "jsonl",
            "filter": {"actor": True, "call_id": True, "type": "held", "since": 5.0},
            "via": "console",
        }


async def test_a_filter_that_is_not_understood_makes_no_file_of_everything(house):
    answer = await (await house.as_("chief")).get(f"{PAGE}/export.jsonl?since=yesterday")
    assert (answer.status_code, "No file was made" in answer.text) == (400, True)


async def test_an_export_waits_its_turn(tmp_path):
    async with consoles.running(tmp_path, more={"lists": ListLimits(files=0)}) as house:
        answer = await (await house.as_("chief")).get(f"{PAGE}/export.jsonl")
        assert (answer.status_code, "Too many exports" in answer.text) == (503, True)
        assert await house.office.gates.audit() == []


WHOLE = Chain(to=1, since=T0, at=T0 + 1)


@pytest.mark.parametrize(
    ("chain", "entries", "said"),
    [
        (Chain(), 0, "There is no entry yet."),
        (Chain(), 1, "Not looked at yet whether the chain holds"),
        (WHOLE, 1, "The chain holds by its hashes: entries 1 to 1, all there are"),
        (WHOLE, 0, "The audit chain is broken: entries 1 to 1 are gone."),
        (WHOLE, 2, "as far as it was looked at: entries 1 to 1 of 2"),
        (replace(WHOLE, problem="entry 1 was edited"), 2, "The audit chain is broken: entry 1 was edited."),
    ],
)
async def test_the_top_says_how_far_the_chain_is_known_to_hold(tmp_path, chain, entries, said):
    async with consoles.running(tmp_path, more={"health": Looked(chain)}) as house:
        for _ in range(entries):
            await house.office.gates.note(NewAudit("held", "anna", {}), "", time.time())
        await until_looked(house, chain)
        page = words((await (await house.as_("chief")).get(PAGE)).text)
        assert said in page
        assert f"has to count {entries} entries: sipbridge audit verify" in page
        assert ("The chain holds" in page) == said.startswith(("The chain holds", "as far"))


async def until_looked(house, chain):
    browser = await house.as_("chief")
    while house.console._watch.chain != chain:
        await browser.get("/console/notices")


def test_a_query_is_what_the_store_looks_for():
    assert sought_of({"by": " anna ", "before": "7", "x": "y"}) == (Sought(actor="anna", before=7), ())
    assert sought_of({"before": "0", "call": "a\0b"}) == (Sought(), ("call", "before"))
