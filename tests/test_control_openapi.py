"""The description is the API: every route is in it and nothing else, and what it says is what the route does."""

import pytest

from bridge.control_api import ApiRoute, Terms, delete, get, post
from bridge.control_api_docs import INTEGER, TEXT, Doc, exactly, list_of, maybe, thing
from bridge.control_hands import KINDS, checked
from bridge.control_openapi import PATH, described, name_of, openapi_route, tag_of
from bridge.records.timeline import Mark, Timeline
from tests.fakes import wholecontrol


async def nothing(_call):
    return {}


ROUTES = [
    get(
        "/api/v1/things/{id}",
        "look",
        nothing,
        Doc("One.", thing({"marks": list_of(Mark)}), query={"limit": INTEGER}, refuses=(404,)),
    ),
    post(
        "/api/v1/things",
        "dial",
        nothing,
        Doc("Make one.", thing({"id": TEXT}), exactly({"name": TEXT}, note=maybe(TEXT))),
        Terms(status=202, max_body=1000),
    ),
    post("/api/v1/sheets", "dial", nothing, Doc("Take a sheet."), Terms(content="text/csv")),
    delete("/api/v1/things/{id}", "administer", nothing, Doc("Forget one.")),
]


def test_a_route_is_described_by_what_it_works_with():
    document = described(ROUTES)
    one, make = document["paths"]["/api/v1/things/{id}"]["get"], document["paths"]["/api/v1/things"]["post"]
    assert [(p["name"], p["in"], p["required"]) for p in one["parameters"]] == [
        ("id", "path", True),
        ("limit", "query", False),
    ]
    assert one["x-right"] == "look"
    assert "admin, approver, operator, viewer" in one["description"]
    assert {"200", "401", "403", "404", "429"} <= set(one["responses"])
    assert "409" not in one["responses"]
    assert {"202", "400", "413", "415"} <= set(make["responses"])
    assert (
        "404" in make["responses"],
        "404" in document["paths"]["/api/v1/things/{id}"]["delete"]["responses"],
    ) == (
        False,
        True,
    )
    body = make["requestBody"]
    assert (body["required"], body["content"]["application/json"]["schema"]["additionalProperties"]) == (
        True,
        False,
    )
    sheet = document["paths"]["/api/v1/sheets"]["post"]["requestBody"]
    assert sheet == {"required": True, "content": {"text/csv": {"schema": {"type": "string"}}}}


def test_a_dataclass_becomes_a_component_with_its_parts():
    document = described([get("/api/v1/x", "look", nothing, Doc("x", Timeline))])
    shapes = document["components"]["schemas"]
    assert shapes["Timeline"]["properties"]["marks"]["items"] == {"$ref": "#/components/schemas/Mark"}
    assert {"Span", "Mark", "Error"} <= set(shapes)
    assert "title" not in shapes["Mark"]


def test_the_describing_route_describes_itself():
    route = openapi_route(ROUTES)
    assert (route.path, route.may) == (PATH, "look")


@pytest.mark.parametrize(
    ("method", "path", "name", "tag"),
    [
        ("GET", "/api/v1/calls", "get_calls", "calls"),
        ("POST", "/api/v1/calls/{id}/hang_up", "post_calls_id_hang_up", "calls"),
        ("GET", "/api/v1/openapi.json", "get_openapi_json", "openapi"),
    ],
)
def test_operations_have_names_and_groups(method, path, name, tag):
    assert (name_of(method, path), tag_of(path)) == (name, tag)


async def test_every_route_of_a_running_control_is_described_and_nothing_else_is(tmp_path):
    async with wholecontrol.running(tmp_path) as whole:
        document = await whole.document()
        there = {
            (route.path, route.method.lower())
            for route in whole.control.app.routes
            if isinstance(route, ApiRoute)
        }
        below = {route.path for route in whole.control.app.routes if route.path.startswith("/api/")}
    said = {(path, method) for path, methods in document["paths"].items() for method in methods}
    assert said == there
    assert below == {path for path, _ in there}  # nobody made a route that no table describes
    operations = [one for methods in document["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in operations}) == len(operations)
    assert all(one["summary"].endswith(".") for one in operations)


@pytest.mark.parametrize("kind", KINDS)
def test_a_commands_schema_and_its_checks_are_the_same_table(kind):
    schema = KINDS[kind].body
    body = {name: _example(schema["properties"][name]) for name in schema.get("required", ())}
    assert checked(kind, body) == body


def _example(schema):
    return schema["enum"][0] if "enum" in schema else "front"
