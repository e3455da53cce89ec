"""The page for people says what the document for programs says."""

from bridge.console.apipage import groups, kind_of, values_of
from bridge.control_api import Terms, get, post
from bridge.control_api_docs import INTEGER, TEXT, Doc, along, exactly, list_of, maybe, one_of, string, thing
from bridge.control_openapi import described
from bridge.records.timeline import Mark
from tests.fakes import console as consoles


async def nothing(_call):
    return {}


DOCUMENT = described(
    [
        get(
            "/api/v1/things",
            "look",
            nothing,
            Doc("All <b>things</b>.", thing({"marks": list_of(Mark)}), query={"state": one_of("a", "b")}),
        ),
        post(
            "/api/v1/things/{id}/do",
            "calls",
            nothing,
            Doc(
                "Do it.",
                along(Mark, more=TEXT),
                exactly({"name": string(64)}, note=maybe(INTEGER)),
                details="Once.",
            ),
        ),
        post("/api/v1/sheets", "dial", nothing, Doc("A sheet."), Terms(content="text/csv")),
    ]
)


def test_operations_are_grouped_and_say_who_may():
    (_, (sheet,)), (tag, (all_, do)) = groups(DOCUMENT)
    assert (tag, sheet.media, all_.method, do.method) == ("things", "text/csv", "GET", "POST")
    assert do.roles == "admin, operator"
    assert [(one.name, one.kind, one.needed) for one in do.body] == [
        ("name", "string, at most 64", True),
        ("note", "integer | null", False),
    ]
    assert [one.kind for one in all_.query] == ["a | b"]
    assert [one.kind for one in all_.answer] == ["[{at_s, sign, name, text}]"]
    assert [one.name for one in do.answer] == ["at_s", "sign", "name", "text", "more"]
    assert do.details == "Once."


def test_kinds_are_a_few_words():
    assert kind_of({}, {"type": "integer", "minimum": 1, "maximum": 9}) == "integer, 1-9"
    assert kind_of({}, {}) == "any"
    assert kind_of({}, {"type": "object"}) == "object"
    assert [one.name for one in values_of({}, {"allOf": [thing({"a": TEXT})], "type": "object"})] == ["a"]


async def test_the_page_lists_every_operation_as_text(tmp_path):
    async with consoles.running(tmp_path, api=DOCUMENT) as house:
        page = (await (await house.as_("anna")).get("/console/api")).text
    words = consoles.words(page)
    for path in DOCUMENT["paths"]:
        assert path in words
    assert "All &lt;b&gt;things&lt;/b&gt;." in page
    assert 'aria-current="page"' in page
