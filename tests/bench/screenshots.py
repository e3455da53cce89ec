"""`make screenshots [PAGES="approvals health"]`: a picture of every page of the console, for the docs.

    sipbridge serve (embedded default) ◄── two calls that end, two that wait for an approval
      └── console ◄── Chromium: light, dark, a phone of 390 px ──► ops/screenshots/NAME.LOOK.png

A page is one line of PAGES. `{request_id}`, `{call_id}` and `{live_id}` of a path are those of a request that waits, of
a call that is over, and of the one that has asked for the request. One bridge, a minute; dead when this ends.
"""

import argparse
import asyncio
import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av

from bridge.cli.demo import embedded_bridge, environment
from bridge.ports import free_tcp_port
from bridge.settings import load
from bridge.store.gatestore import GateStore
from bridge.store.store import Store
from tests.fakes import browser as browsers
from tests.fakes import consoles
from tests.test_webhook import SECRET, receiving

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "ops" / "screenshots"
WAIT_S = 60.0
SETTLE_MS = 400


@dataclass(frozen=True, slots=True)
class Shot:
    """`path` under /console. `act`: a selector that is clicked before the picture is taken."""

    name: str
    path: str
    act: str = ""


PAGES: tuple[Shot, ...] = (
    Shot("sign-in", "/sign-in"),
    Shot("start", "/"),
    Shot("approvals", "/approvals"),
    Shot("approval", "/approvals/{request_id}"),
    Shot("decided", "/approvals/decided"),
    Shot("statistics", "/approvals/statistics"),
    Shot("calls", "/calls"),
    Shot("live-call", "/calls/{live_id}"),
    Shot("history", "/history"),
    Shot("call", "/history/{call_id}"),
    Shot("phone", "/phone"),
    Shot("dialplan", "/dialplan"),
    Shot("dialplan-disk", "/dialplan/disk"),
    Shot("dialplan-versions", "/dialplan/versions"),
    Shot("dialplan-file", "/dialplan/file/running/default.yaml?at=40#L40"),
    Shot("health", "/health"),
    Shot("users", "/users"),
    Shot("user", "/users/root.admin"),
    Shot("account", "/account"),
    Shot("explain", "/dialplan/explain?to=100", act="button.main"),
    Shot("audit", "/audit"),
    Shot("webhooks", "/webhooks"),
    Shot("api", "/api"),
)
"""Add yours here, in the order of the navigation."""
LOOKS: dict[str, dict[str, Any]] = {
    "light": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 860}, "color_scheme": "dark"},
    "phone": {
        "viewport": {"width": 390, "height": 844},
        "color_scheme": "light",
        "has_touch": True,
        "is_mobile": True,
    },
}
ENDS = """
version: 1
voice: en-us
wpm: 170
steps:
  - after_agent: true
  - say: Tell me your opening hours.
  - after_agent: true
  - say: Goodbye.
  - after_agent: true
"""
WAITS = """
version: 1
voice: en-us
wpm: 170
steps:
  - after_agent: true
  - say: I want a refund of forty dollars.
  - after_agent: true
  - dtmf: "1"
  - after_agent: true
  - wait_ms: 80000
"""


async def run(names: set[str]) -> None:
    """Take them, or the named ones."""
    wanted = [shot for shot in PAGES if not names or shot.name in names]
    with tempfile.TemporaryDirectory(prefix="sipbridge-shots-") as made:
        folder = Path(made)
        environ = environment(folder, os.environ) | {"SIPBRIDGE_TOOLS": str(ROOT / "tools")}
        async with (
            _webhooks() as hooks,
            embedded_bridge(folder, environ | hooks) as address,
            browsers.browser() as running,
        ):
            where = await consoles.base(folder)
            await asyncio.gather(*(_phone(environ, folder, address, f"+4930555{n}", ENDS) for n in (1, 2)))
            async with asyncio.TaskGroup() as tasks:
                waiting = [
                    tasks.create_task(_phone(environ, folder, address, f"+4930777{n}", WAITS)) for n in (1, 2)
                ]
                ids = await _ids(environ)
                for look, context in LOOKS.items():
                    await _look(running, environ, where, look, context, wanted, ids)
                for one in waiting:
                    one.cancel()


@contextlib.asynccontextmanager
async def _webhooks() -> AsyncIterator[dict[str, str]]:
    """Settings of two endpoints: one takes what it is told, nobody listens at the other."""
    async with receiving() as (_receiver, url):
        named = {
            "crm": {"url": url, "secret_env": "SHOT_HOOK", "personal": True},
            "ledger": {
                "url": f"http://127.0.0.1:{free_tcp_port('127.0.0.1')}/calls",
                "secret_env": "SHOT_HOOK",
                "events": ["call.started", "call.ended"],
            },
        }
        yield {"SIPBRIDGE_WEBHOOKS": json.dumps(named), "SHOT_HOOK": SECRET}


async def _look(  # noqa: PLR0917  # one argument a thing that differs
    running: Any,
    environ: dict[str, str],
    where: str,
    look: str,
    context: dict[str, Any],
    wanted: list[Shot],
    ids: dict[str, str],
) -> None:
    stranger = await browsers.tab(running, base_url=where, **context)
    admin = await consoles.signed_in(running, environ, where, consoles.admin(), **context)
    FOLDER.mkdir(exist_ok=True)
    for shot in wanted:
        page = (stranger if shot.name == "sign-in" else admin).page
        await page.goto(f"/console{shot.path.format(**ids)}")
        if shot.act:
            await page.click(shot.act)
        await page.wait_for_timeout(SETTLE_MS)
        path = FOLDER / f"{shot.name}.{look}.png"
        path.write_bytes(small(await page.screenshot()))
        sys.stdout.write(f"{path.relative_to(ROOT)} {path.stat().st_size // 1024} KiB\n")
    for person in (stranger, admin):
        await person.page.context.close()


def small(png: bytes) -> bytes:
    """The same picture in 128 colours: a third of the bytes, which stay in the repository for ever."""
    with av.open(io.BytesIO(png)) as source:
        frame = next(source.decode(video=0))
    graph, one = av.filter.Graph(), Fraction(1, 25)
    begin = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=one)
    split, palette = graph.add("split"), graph.add("palettegen", "max_colors=128")
    use, end = graph.add("paletteuse", "dither=none"), graph.add("buffersink")
    begin.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(end)
    graph.configure()
    graph.push(frame)
    graph.push(None)
    done: Any = graph.pull()
    codec: Any = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = done.width, done.height, "pal8", one
    codec.options = {"compression_level": "9", "pred": "none"}
    return b"".join(bytes(packet) for packet in (*codec.encode(done), *codec.encode(None)))


async def _phone(environ: dict[str, str], folder: Path, address: str, caller: str, script: str) -> None:
    path = folder / f"call-{caller}.yaml"
    path.write_text(script)
    words = ("call", f"sip:100@{address}", "--script", str(path), "--from", caller, "--json")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bridge", *words), cwd=ROOT, env=environ, stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    report = json.loads(output)
    if not report["answered"]:
        raise RuntimeError(f"the call of {caller} was not answered: {report}")


async def _ids(environ: dict[str, str]) -> dict[str, str]:
    """A request that waits, and a call that is over, as soon as there are both."""
    async with asyncio.timeout(WAIT_S), Store(str(load(None, environ).store), migrate=False) as store:
        while True:
            requests = await GateStore(store).requests(("pending",))
            over = [one for one in await store.recent(20) if one.ended_at is not None]
            if len(requests) > 1 and over:
                waits = requests[0]
                return {"request_id": waits.request_id, "live_id": waits.call_id, "call_id": over[-1].call_id}
            await asyncio.sleep(0.2)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", help="of PAGES")
    asyncio.run(run({*parser.parse_args().names}))
