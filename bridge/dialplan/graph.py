"""A plan as a picture: routes from top to bottom, the steps of each from left to right, branches below with their name.

    Plan ──lay_out──► boxes and links on a grid ──svg──► one SVG file, no other program, no script, no network

Every text has a place of its own: a branch takes rows that nothing else is in, long texts are shortened and stand in
full in the title (a tooltip, and what a screen reader says). Colours tell kinds of steps; lines and labels are grey, so
that a dark page will do too. Knows steps by their fields only. Pure, any thread.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from unicodedata import east_asian_width
from xml.sax.saxutils import escape, quoteattr

from bridge.dialplan.plan import Plan, Route
from bridge.dialplan.steps import Step
from bridge.dialplan.words import condition, details, label, ways

STEP_W, STEP_H, GAP_X, GAP_Y = 200, 68, 44, 26
ROUTE_W, ROUTE_GAP, MARGIN, HEAD_H = 260, 34, 24, 76
LINE_H, PAD, CHAR_W = 16, 10, 7.2
TEXT_W = ROUTE_W - 2 * PAD
"""Pixels; CHAR_W is what a character of 12 pixels takes on average in a wide font."""
MAX_ROUTES = 200
DETAIL_LINES, CONDITION_LINES, NAME_LINES = 2, 4, 2
SPINE_X = 18
"""Where a branch leaves its step, from the step's left."""

KINDS: Mapping[str, tuple[str, str, str]] = {  # kind -> (what it is, fill, edge)
    "route": ("a route and its conditions", "#f1f5f9", "#475569"),
    "flow": ("steps that others go to", "#e0f2f1", "#00796b"),
    "talk": ("heard by the caller", "#dbeafe", "#2563eb"),
    "ask": ("goes on as the caller, or something else, decides", "#fef3c7", "#d97706"),
    "agent": ("talks with an agent", "#dcfce7", "#16a34a"),
    "hand over": ("goes to somebody else", "#f3e8ff", "#9333ea"),
    "end": ("ends the call", "#fee2e2", "#dc2626"),
    "other": ("something else", "#e5e7eb", "#6b7280"),
}
KIND_OF = {
    **dict.fromkeys(("ring", "early_media", "answer", "say", "play", "hold", "voicemail"), "talk"),
    **dict.fromkeys(
        ("transfer", "warm_transfer", "dial", "queue", "conference", "park", "pick_up", "callback"),
        "hand over",
    ),
    **dict.fromkeys(("hang_up", "reject"), "end"),
    **dict.fromkeys(("menu", "collect", "switch"), "ask"),
    "agent": "agent",
}
"""Kinds of the steps one knows; others are `ask` when they branch by a value, else `other`."""
FONT = 'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" font-size="12"'
ARROW = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
    '<path d="M0 0 8 4 0 8z" fill="#808080"/></marker></defs>'
)
UNITS = {"ms": "ms", "s": "s"}
"""Fields whose value is shown with a unit."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle at (x, y) with a bold head and lines below it; `title`: all of it, unshortened."""

    x: int
    y: int
    width: int
    height: int
    kind: str
    head: tuple[str, ...]
    lines: tuple[str, ...]
    title: str


@dataclass(frozen=True, slots=True)
class Link:
    """A line along `points` with an arrow at its end; `label` stands above it at `at`."""

    points: tuple[tuple[int, int], ...]
    label: str = ""
    at: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class Picture:
    """All boxes and links, and how far they go."""

    boxes: list[Box] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height with a margin."""
        right = max((box.x + box.width for box in self.boxes), default=ROUTE_W)
        bottom = max((box.y + box.height for box in self.boxes), default=HEAD_H)
        return max(right, 640) + MARGIN, bottom + MARGIN


def svg(plan: Plan, only: str = "") -> str:
    """The text of an SVG file. `only`: the name of the one route to show."""
    picture = lay_out([one for one in plan.routes if only in {"", one.name}], {} if only else plan.flows)
    width, height = picture.size
    about = f"{len(plan.routes)} routes, {len(plan.agents)} agents, version {plan.version}"
    root = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}"'
        f' role="img" aria-labelledby="title about" {FONT}>'
    )
    lines = [
        root,
        f'<title id="title">Call flow of the dialplan</title><desc id="about">{_text(about)}</desc>',
        ARROW,
        f'<text x="{MARGIN}" y="30" font-size="16" font-weight="bold" fill="#808080">Call flow</text>',
        f'<text x="{MARGIN + 90}" y="30" fill="#808080">{_text(about)}</text>',
    ]
    lines += [*_legend(picture), *map(_link, picture.links), *map(_box, picture.boxes)]
    return "\n".join((*lines, "</svg>\n"))


def lay_out(routes: Sequence[Route], flows: Mapping[str, tuple[Step, ...]] = MappingProxyType({})) -> Picture:
    """Where everything stands: the routes, and below them the flows."""
    picture, y = Picture(), HEAD_H
    for number, route in enumerate(routes[:MAX_ROUTES]):
        box = _route_box(route, y)
        picture.boxes.append(box)
        below = _beside(picture, box, route.steps)
        if number + 1 < len(routes) or route.conditions:
            middle = MARGIN + SPINE_X
            points = ((middle, y + box.height), (middle, below))
            picture.links.append(Link(points, "does not fit", (middle + 8, below - ROUTE_GAP // 2 + 4)))
        y = below
    if len(routes) > MAX_ROUTES:
        more = f"… and {len(routes) - MAX_ROUTES} more routes"
        picture.boxes.append(Box(MARGIN, y, ROUTE_W, 36, "other", (more,), (), more))
        y += 36 + ROUTE_GAP
    elif not routes or routes[-1].conditions:
        text = "no route: 404 Not Found"
        picture.boxes.append(Box(MARGIN, y, ROUTE_W, 36, "end", (text,), (), text))
        y += 36 + ROUTE_GAP
    for name, steps in islice(flows.items(), MAX_ROUTES):
        box = Box(MARGIN, y, ROUTE_W, STEP_H, "flow", ("flow",), (shorten(name, TEXT_W),), f"flow {name}")
        picture.boxes.append(box)
        y = _beside(picture, box, steps)
    return picture


def _beside(picture: Picture, box: Box, steps: Sequence[Step]) -> int:
    """Put steps beside the box that they belong to; where the next one goes."""
    left = MARGIN + ROUTE_W
    rows = _place(picture, steps, left + GAP_X, box.y, 0)
    picture.links.append(_arrow(left, left + GAP_X, box.y + STEP_H // 2))
    return box.y + max(box.height, rows * (STEP_H + GAP_Y) - GAP_Y) + ROUTE_GAP


def _place(picture: Picture, steps: Sequence[Step], x: int, top: int, row: int) -> int:
    """Put steps from `x` on into `row` (below `top`), their branches into the rows under it; the next free row."""
    y = top + row * (STEP_H + GAP_Y)
    pitch = STEP_W + GAP_X
    for number, step in enumerate(steps):
        picture.boxes.append(_step_box(step, x + number * pitch, y))
        if number:
            picture.links.append(_arrow(x + number * pitch - GAP_X, x + number * pitch, y + STEP_H // 2))
    row += 1
    for number, step in reversed(list(enumerate(steps))):
        left = x + number * pitch
        for name, inner in ways(step):
            middle = top + row * (STEP_H + GAP_Y) + STEP_H // 2
            points = ((left + SPINE_X, y + STEP_H), (left + SPINE_X, middle), (left + pitch, middle))
            said = shorten(branch_name(name), STEP_W - SPINE_X)
            picture.links.append(Link(points, said, (left + SPINE_X + 8, middle - 6)))
            row = _place(picture, inner, left + pitch, top, row)
    return row


def branch_name(name: str) -> str:
    """`options.1` is "1", `or_else` is "or else"."""
    return name.partition(".")[2] or name.replace("_", " ")


def _arrow(left: int, right: int, y: int) -> Link:
    return Link(((left, y), (right, y)))


def _route_box(route: Route, y: int) -> Box:
    said = [condition(one) for one in route.conditions] or ["every call"]
    lines = [shorten(one, TEXT_W) for one in said[:CONDITION_LINES]]
    if len(said) > CONDITION_LINES:
        lines[-1] = f"and {len(said) - CONDITION_LINES + 1} more conditions"
    head = wrap(route.name, TEXT_W, NAME_LINES, bold=True)
    height = max(STEP_H, (len(head) + len(lines)) * LINE_H + 2 * PAD)
    title = f"route {route.name} ({route.file}:{route.line}): {', '.join(said)}"
    return Box(MARGIN, y, ROUTE_W, height, "route", tuple(head), tuple(lines), title)


def _step_box(step: Step, x: int, y: int) -> Box:
    said = ", ".join(f"{value} {UNITS[name]}" if name in UNITS else value for name, value in details(step))
    head = (step.TAG.replace("_", " "),)
    lines = wrap(said, STEP_W - 2 * PAD, DETAIL_LINES) if said else []
    return Box(x, y, STEP_W, STEP_H, kind(step), head, tuple(lines), label(step))


def kind(step: Step) -> str:
    """Which of KINDS a step is."""
    known = KIND_OF.get(step.TAG)
    if known is not None:
        return known
    return "ask" if any("." in name for name, _ in ways(step)) else "other"


def text_width(text: str, *, bold: bool = False) -> float:
    """Pixels that a text takes at most in a usual font; East Asian characters are twice as wide."""
    return sum(_char_width(char) for char in text) * (1.08 if bold else 1)


def _char_width(char: str) -> float:
    if char in "WM@%mw—…":
        return 12.2
    if east_asian_width(char) in "WF":
        return 2 * CHAR_W
    return 8.8 if char.isupper() else CHAR_W


def shorten(text: str, width: int, *, bold: bool = False) -> str:
    """The text, cut and ended with … when it is wider."""
    if text_width(text, bold=bold) <= width:
        return text
    while text and text_width(f"{text}…", bold=bold) > width:
        text = text[:-1]
    return f"{text.rstrip()}…"


def wrap(text: str, width: int, lines: int, *, bold: bool = False) -> list[str]:
    """The text in at most so many lines, broken between words; the last one is cut."""
    done: list[str] = []
    words = text.split()
    while words and len(done) < lines - 1:
        line = words.pop(0)
        while words and text_width(f"{line} {words[0]}", bold=bold) <= width:
            line = f"{line} {words.pop(0)}"
        done.append(shorten(line, width, bold=bold))
    return [*done, shorten(" ".join(words), width, bold=bold)] if words else done


def _legend(picture: Picture) -> Iterator[str]:
    used = {box.kind for box in picture.boxes}
    x = MARGIN
    for name in KINDS:
        if name in used:
            _, fill, edge = KINDS[name]
            yield f'<rect x="{x}" y="44" width="12" height="12" rx="3" fill="{fill}" stroke="{edge}"/>'
            yield f'<text x="{x + 18}" y="54" fill="#808080">{_text(name)}</text>'
            x += 18 + int(text_width(name)) + 20


def _box(box: Box) -> str:
    what, fill, edge = KINDS[box.kind]
    place = f'x="{box.x}" y="{box.y}" width="{box.width}" height="{box.height}"'
    parts = [f"<g><title>{_text(box.title)}</title>"]
    parts.append(
        f'<rect {place} rx="8" fill="{fill}" stroke="{edge}" stroke-width="1.5" aria-label={quoteattr(what)}/>'
    )
    y = box.y + PAD + 12
    for lines, style in ((box.head, ' font-weight="bold"'), (box.lines, "")):
        for line in lines:
            parts.append(f'<text x="{box.x + PAD}" y="{y}" fill="#111827"{style}>{_text(line)}</text>')
            y += LINE_H
    return "".join((*parts, "</g>"))


def _link(link: Link) -> str:
    points = " ".join(f"{x},{y}" for x, y in link.points)
    line = f'<polyline points="{points}" fill="none" stroke="#808080" stroke-width="1.5" marker-end="url(#arrow)"/>'
    if not link.label:
        return line
    x, y = link.at
    return f'{line}<text x="{x}" y="{y}" fill="#808080" font-style="italic">{_text(link.label)}</text>'


def _text(text: str) -> str:
    return escape("".join(char if char.isprintable() else "�" for char in text))
