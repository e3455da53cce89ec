"""The pages of the dialplan over a real desk and real files: what is shown, what a reload does, who may."""

from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest

from bridge.control_planwindow import PlanWindow
from bridge.dialplan.around import Around
from bridge.store.userstore import User
from tests.fakes import console as consoles
from tests.test_control_dialplan import Office

BAD = "version: 1\nroutes:\n  - name: x\n    do:\n      - rang: 1\n"
WORDS = consoles.words


class Nodes:
    """The other nodes: `told` what."""

    def __init__(self):
        self.told, self.desk, self.store = [], self, self

    def others(self):
        return (SimpleNamespace(name="b"),)

    async def tell(self, topic, by):
        self.told.append((topic, by))


@asynccontextmanager
async def pages(folder, nodes=None):
    """An admin's browser, the office behind it, and the house."""
    plans = Office(folder)
    desk = await plans.desk()
    window = PlanWindow(desk, plans.versions, Around(("local",)), None, nodes)
    (folder / "gate").mkdir()
    async with consoles.running(folder / "gate", more={"plans": window}) as house:
        plans.now = desk
        yield await house.as_("chief"), plans, house


async def shown(browser, path):
    answer = await browser.get(f"/console/dialplan{path}")
    assert answer.status_code == 200, answer.text
    return answer.text


async def test_the_plan_in_force_is_shown_with_links_to_its_lines(tmp_path):
    async with pages(tmp_path) as (browser, plans, _):
        text = await shown(browser, "")
        assert plans.now.version in text
        assert "since" in WORDS(text)
        assert 'href="/console/dialplan/file/running/plan.yaml?at=3#L3"' in text
        assert "say: Hello first" in WORDS(text)
        file = await shown(browser, "/file/running/plan.yaml?at=3")
        assert 'id="L3"' in file
        assert (await browser.get("/console/dialplan/file/running/..%2fsecret")).status_code == 404


async def test_a_bad_file_is_shown_with_its_line_and_a_reload_leaves_the_plan_in_force(tmp_path):
    async with pages(tmp_path) as (browser, plans, _):
        before = plans.now.version
        (plans.plans / "plan.yaml").write_text(BAD)
        text = WORDS(await shown(browser, "/disk"))
        assert "one mistake" in text
        assert "plan.yaml:5:" in text
        assert "- rang: 1" in text
        answer = await browser.post("/console/dialplan/reload", page="/console/dialplan/disk")
        assert answer.status_code == 422
        assert f"Refused: one mistake. Version {before} stays in force." in WORDS(answer.text)
        assert plans.now.version == before
        assert "The last reload was refused" in WORDS(await shown(browser, ""))


async def test_what_a_reload_would_change_is_shown_and_then_is_so(tmp_path):
    async with pages(tmp_path) as (browser, plans, _):
        plans.write("second")
        text = WORDS(await shown(browser, "/disk"))
        assert "The files are right." in text
        assert "added route second, first of all" in text
        assert "removed route first" in text
        answer = await browser.post("/console/dialplan/reload", page="/console/dialplan/disk")
        assert f"Reloaded: version {plans.now.version} is in force." in WORDS(answer.text)
        assert (plans.now.plan.routes[0].name, str(plans.now.now.cause)) == ("second", "console, chief")
        again = await browser.post("/console/dialplan/reload", page="/console/dialplan/disk")
        assert "nothing has changed" in WORDS(again.text)


async def test_the_other_nodes_read_their_files_too_if_somebody_wants_it_and_it_worked_here(tmp_path):
    nodes = Nodes()
    async with pages(tmp_path, nodes) as (browser, plans, _):
        page = "/console/dialplan/disk"
        assert "then the 1 other nodes read their own files" in WORDS(await shown(browser, "/disk"))
        await browser.post("/console/dialplan/reload", page=page)
        assert nodes.told == []
        (plans.plans / "plan.yaml").write_text(BAD)
        await browser.post("/console/dialplan/reload", page=page, everywhere="1")
        assert nodes.told == []
        plans.write("third")
        await browser.post("/console/dialplan/reload", page=page, everywhere="1")
        assert nodes.told == [("reload", "chief")]


async def test_any_two_versions_are_compared_and_one_is_put_back(tmp_path):
    async with pages(tmp_path) as (browser, plans, _):
        first = plans.now.version
        plans.write("second")
        await browser.post("/console/dialplan/reload", page="/console/dialplan/disk")
        second = plans.now.version
        text = WORDS(await shown(browser, f"/compare?old={first}&new={second}"))
        assert "removed route first" in text
        assert "- name: second" in text
        answer = await browser.post(
            "/console/dialplan/rollback", page="/console/dialplan/versions", version=first
        )
        assert answer.status_code == 200
        assert plans.now.version == first
        assert "Rolled back: this version stays" in WORDS(await shown(browser, ""))
        wrong = await browser.post(
            "/console/dialplan/rollback", page="/console/dialplan/versions", version="feedfeedfeed"
        )
        assert wrong.status_code == 422
        assert plans.now.version == first
        assert (await browser.get("/console/dialplan/compare?old=feedfeedfeed")).status_code == 404
        (plans.plans / "plan.yaml").write_text(BAD)
        assert (await browser.get("/console/dialplan/compare?old=running&new=disk")).status_code == 409


async def test_a_call_is_explained_by_the_plan_in_force_and_by_the_files(tmp_path):
    async with pages(tmp_path) as (browser, plans, _):
        plans.write("second")
        page = "/console/dialplan/explain"
        answer = await browser.post(page, page=page, to="100", which="both")
        text = WORDS(answer.text)
        assert "first plan.yaml:3 takes the call" in text
        assert "second plan.yaml:3 takes the call" in text
        assert "say: Hello second" in text
        wrong = await browser.post(page, page=page, to="100", at="tomorrow")
        assert (wrong.status_code, "tomorrow is no time" in WORDS(wrong.text)) == (400, True)
        (plans.plans / "plan.yaml").write_text(BAD)
        broken = await browser.post(page, page=page, to="100", which="disk")
        assert "It is no plan: 1 mistakes" in WORDS(broken.text)


@pytest.mark.parametrize("path", ["reload", "rollback"])
async def test_who_may_only_look_cannot_change_the_plan(tmp_path, path):
    async with pages(tmp_path) as (_, plans, house):
        await house.office.users.put(User("vera", frozenset({"viewer"}), frozenset()))
        browser = await house.as_("vera")
        before = plans.now.now
        text = await shown(browser, "/disk")
        assert "/dialplan/reload" not in text
        answer = await browser.post(
            f"/console/dialplan/{path}", page="/console/dialplan/explain", version="x"
        )
        assert answer.status_code == 403
        assert plans.now.now == before


async def test_what_a_plan_says_is_shown_as_text(tmp_path):
    async with pages(tmp_path) as (browser, plans, _):
        evil = "<script>alert(1)</script>"
        (plans.plans / "plan.yaml").write_text(
            f'version: 1\nroutes:\n  - name: "{evil}"\n    do:\n      - say: "<img src=x onerror=alert(1)>"\n'
        )
        await browser.post("/console/dialplan/reload", page="/console/dialplan/disk")
        for path in ("", "/disk", "/file/running/plan.yaml", "/versions"):
            text = await shown(browser, path)
            assert evil not in text
            assert "<img" not in text


async def test_files_that_cannot_be_checked_are_said_to_be_so_at_every_look(tmp_path):
    """Not at the first alone: what was seen before is not how they are."""
    plans = Office(tmp_path)
    desk = await plans.desk()

    class Gone(Around):
        def __getattribute__(self, name):
            raise OSError("the disk is gone")

    window = PlanWindow(desk, plans.versions, Around(("local",)), None, None)
    assert not (await window.look("disk")).problems
    window._around = Gone()
    (plans.plans / "plan.yaml").write_text(BAD.replace("rang", "say"))
    for _ in range(2):
        assert (await window.look("disk")).problems
