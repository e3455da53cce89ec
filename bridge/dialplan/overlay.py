"""An environment's overlay laid over a plan: what `overlays/production.yaml` says goes before what the plan says.

    mappings   merge, key by key, however deep        lists and single values   replace what was there
    routes     replace the route of the same name, in its place; there must be one
    new names  (an agent, a list, …) are added

Every value keeps the file and line where it is written. Nothing is changed in place: an anchored value of the plan
may stand in several places. Pure. Not worker-safe (pydantic, for the schema). Called by bridge/dialplan/files.py.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, get_origin

from bridge.dialplan.schema import Dialplan
from bridge.errors import Problem
from bridge.fieldhelp import nearest
from bridge.yamlfile import Place, YamlFile

BY_NAME = frozenset(
    name for name, info in Dialplan.model_fields.items() if get_origin(info.annotation) is dict
)
"""Sections of things by name, which may be spread over files."""
OF_EACH_FILE = frozenset({"language"})


def laid_over(
    documents: Sequence[YamlFile], overlay: YamlFile
) -> tuple[list[YamlFile], YamlFile, list[Problem]]:
    """The documents as the overlay changes them, what the overlay adds (a document too), and its mistakes."""
    changed = list(documents)
    problems: list[Problem] = []
    if not isinstance(overlay.data, dict):
        return changed, overlay, problems
    _stamp(overlay.root, overlay.name)
    rest: dict[str, Any] = {}
    for key, value in overlay.data.items():
        place = overlay.root.children[key]
        if key == "include":
            hint = "put it into a file of the plan"
            problems.append(overlay.problem((key,), "an overlay includes nothing", hint, at_key=True))
        elif key == "routes" and isinstance(value, list):
            rest[key] = _replace_routes(changed, overlay, problems)
        elif key in BY_NAME and isinstance(value, dict):
            rest[key] = {
                name: entry
                for name, entry in value.items()
                if not _merge_entry(changed, key, name, (entry, place.children[name]))
            }
        elif key == "version" or not _merge_whole(changed, key, (value, place)) or key in OF_EACH_FILE:
            rest[key] = value
    return changed, YamlFile(overlay.name, rest, overlay.root), problems


Written = tuple[Any, Place]
"""A value and where it is written."""


def merged(base: Written, over: Written) -> Written:
    """`over` laid over `base`."""
    (below, below_place), (above, above_place) = base, over
    if not (isinstance(below, dict) and isinstance(above, dict)):
        return over
    data, children = dict(below), dict(below_place.children)
    for key, value in above.items():
        one = (value, above_place.children[key])
        data[key], children[key] = merged((data[key], children[key]), one) if key in data else one
    return data, replace(below_place, children=children)


def _replaced(document: YamlFile, key: str, entry: Written) -> YamlFile:
    """The document with another value of a top-level key."""
    data, children = {**document.data, key: entry[0]}, {**document.root.children, key: entry[1]}
    return YamlFile(document.name, data, replace(document.root, children=children))


def _section(document: YamlFile, key: str, kind: type) -> Any:
    found = document.data.get(key) if isinstance(document.data, dict) else None
    return found if isinstance(found, kind) else None


def _merge_entry(documents: list[YamlFile], key: str, name: str, over: Written) -> bool:
    """Merge one named thing into the document that has it. False: none has."""
    for number, document in enumerate(documents):
        section = _section(document, key, dict)
        if section is not None and name in section:
            place = document.root.children[key]
            wrapped = Place(place.line, place.column, children={name: over[1]})
            whole = merged((section, place), ({name: over[0]}, wrapped))
            documents[number] = _replaced(document, key, whole)
            return True
    return False


def _merge_whole(documents: list[YamlFile], key: str, over: Written) -> bool:
    """Merge what is not a section of names wherever it is given. False: nowhere."""
    done = False
    for number, document in enumerate(documents):
        if isinstance(document.data, dict) and (key in document.data or key in OF_EACH_FILE):
            before = (document.data.get(key), document.root.children.get(key, over[1]))
            documents[number] = _replaced(document, key, merged(before, over))
            done = True
    return done


def _replace_routes(documents: list[YamlFile], overlay: YamlFile, problems: list[Problem]) -> list[Any]:
    """Put the overlay's routes in place of those of the same name. What has no name comes back."""
    nameless = []
    for number, route in enumerate(overlay.data["routes"]):
        name = route.get("name") if isinstance(route, dict) else None
        if not isinstance(name, str):
            nameless.append(route)
        elif not _replace_route(documents, name, (route, overlay.root.children["routes"].children[number])):
            hint = nearest(name, _route_names(documents))
            message = f"the plan has no route {name}, and an overlay adds none"
            problems.append(overlay.problem(("routes", number, "name"), message, hint))
    return nameless


def _replace_route(documents: list[YamlFile], name: str, over: Written) -> bool:
    for number, document in enumerate(documents):
        routes = _section(document, "routes", list) or []
        for index, route in enumerate(routes):
            if isinstance(route, dict) and route.get("name") == name:
                place = document.root.children["routes"]
                data = [*routes[:index], over[0], *routes[index + 1 :]]
                children = {**place.children, index: over[1]}
                documents[number] = _replaced(document, "routes", (data, replace(place, children=children)))
                return True
    return False


def _route_names(documents: Sequence[YamlFile]) -> list[str]:
    routes = (route for document in documents for route in _section(document, "routes", list) or ())
    return [str(route["name"]) for route in routes if isinstance(route, dict) and "name" in route]


def _stamp(place: Place, file: str) -> None:
    """Write the file's name to every place of a document; an anchored one may come several times."""
    waiting = [place]
    while waiting:
        one = waiting.pop()
        if one.file != file:
            one.file = file
            waiting += one.children.values()
