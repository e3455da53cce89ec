"""Facts about the parts of an installation, for parts.py: what runs, the store, versions, providers, MCP servers.

Reaches out only to what the settings name, each with a deadline; the one request to a provider lists its models, which
costs nothing. Secrets are used, never shown.
"""

import asyncio
import contextlib
import email.utils
import fcntl
import importlib.metadata
import json
import os
import platform
import re
import shutil
import ssl
import subprocess
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from bridge.doctor.parts import McpFacts, NodeFacts, ProcessFacts, ProviderFacts, StoreFacts
from bridge.settings_console import Oidc
from bridge.settings_model import Provider
from bridge.settings_tools import McpServer
from bridge.store.look import Look
from bridge.store.nodestore import NodeStore
from bridge.store.store import Store

REACH_S = 5.0
HEALTH_S = 5.0
SOCKET = "api.sock"
PROGRAMS = {"kamailio": ("kamailio", "-V"), "rtpengine": ("rtpengine", "--version")}
SBIN = "/usr/sbin:/usr/local/sbin"
_VERSION = re.compile(r"(\d+(?:\.\d+)+[a-z]?)")


def supervisor(state_dir: Path) -> int | None:
    """The pid of the supervisor that holds the lock of this folder (bridge/supervisor.py); None: nobody does."""
    try:
        held = os.open(state_dir / "supervisor.pid", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        words = os.read(held, 20).decode("ascii", "replace").strip()
        return int(words) if words.isdigit() else None
    finally:
        os.close(held)
    return None


async def processes(state_dir: Path, workers: int) -> ProcessFacts:
    """/healthz over control's own socket: no port, no network."""
    pid = supervisor(state_dir)
    if pid is None:
        return ProcessFacts(workers=workers)
    transport = httpx.AsyncHTTPTransport(uds=str(state_dir / SOCKET))
    async with httpx.AsyncClient(transport=transport, timeout=HEALTH_S) as client:
        try:
            answer = await client.get("http://control/healthz")
            health: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            return ProcessFacts(pid, error=str(error) or type(error).__name__, workers=workers)
    return ProcessFacts(pid, answer.status_code, health, workers=workers)


def sip_ports(state_dir: Path) -> list[tuple[str, int]]:
    """(address, port) of each worker as it was told at its start: the embedded default moves away from a taken port."""
    found: dict[tuple[str, int], None] = {}  # a slot has a file for each kind of worker it may hold
    paths = (state_dir / "run").glob("worker-*.json")
    for path in sorted(paths, key=lambda path: (len(path.stem.partition("-wide")[0]), path.stem)):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            sip = json.loads(path.read_text(encoding="utf-8"))["sip"]
            found[str(sip["bind"]), int(sip["port"])] = None
    return list(found)


def console_port(state_dir: Path, otherwise: int) -> int:
    """The same for the console."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        serve = json.loads((state_dir / "run" / "serve.json").read_text(encoding="utf-8"))
        for program in serve["programs"]:
            if port := program["environ"].get("SIPBRIDGE_CONSOLE__PORT"):
                return int(port)
    return otherwise


def store(seen: Look) -> StoreFacts:
    """What was seen of it (bridge/store/look.py)."""
    return StoreFacts(
        url=seen.url,
        error=seen.error,
        revision=seen.revision,
        head=seen.head,
        known=seen.known,
        works_from=seen.works_from,
        latency_ms=seen.latency_ms,
        size_bytes=seen.size_bytes,
        open_calls=seen.open_calls,
    )


async def nodes(url: str) -> list[NodeFacts]:
    """Who shares the store; nobody with SQLite. StoreError: it cannot be read."""
    if not url.startswith("postgresql"):
        return []
    async with Store(url, migrate=False) as store:
        rows = await NodeStore(store).nodes()
    return [
        NodeFacts(
            name=row.name,
            state=row.state,
            age_s=row.age_s,
            version=row.version,
            plan=row.plan_version,
            problems=tuple(str(one) for one in _list(row.facts.get("problems"))),
        )
        for row in rows
    ]


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def versions() -> dict[str, str | None]:
    """By name of the component, as flaws.toml knows it; None: not installed."""
    found: dict[str, str | None] = {
        "sipbridge": _package("sipbridge"),
        "python": platform.python_version(),
        "pjproject": re.sub(r"\.post\d+$", "", _package("pjsua2-python") or "") or None,
        "openssl": _first(ssl.OPENSSL_VERSION),
        "openssl-of-pjproject": _bundled_openssl(),
    }
    for name, command in PROGRAMS.items():
        path = shutil.which(command[0], path=f"{os.environ.get('PATH', '')}:{SBIN}")
        found[name] = _said([path, *command[1:]]) if path else None
    return found


def _package(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _bundled_openssl() -> str | None:
    """Of the wheel: the library's file names it (libssl-….so.1.0.2k)."""
    try:
        files = importlib.metadata.files("pjsua2-python") or ()
    except importlib.metadata.PackageNotFoundError:
        return None
    return next((_first(one.name) for one in files if one.name.startswith("libssl")), None)


def _said(command: list[str]) -> str | None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603  # fixed
    except (OSError, subprocess.TimeoutExpired):
        return None
    return _first(done.stdout + done.stderr)


def _first(text: str) -> str | None:
    found = _VERSION.search(text)
    return found[1] if found else None


async def oidc(settings: Oidc) -> str:
    """Why the provider that signs people in does not answer as it should; "": it does."""
    from bridge.console.oidc import Flow, OidcError, Provider  # noqa: PLC0415  # only who has one loads it

    try:
        await Provider(settings, lambda: "").way(
            Flow("doctor", "doctor", "d" * 64, "https://doctor.invalid/")
        )
    except OidcError as error:
        return str(error)
    return ""


async def providers(
    named: Mapping[str, Provider], secrets: Mapping[str, str], *, offline: bool
) -> tuple[list[ProviderFacts], float | None]:
    """Facts of each, and how far our clock is from the first that told the time (seconds, ours minus theirs)."""
    pairs = await asyncio.gather(*(_provider(name, one, secrets, offline) for name, one in named.items()))
    offsets = [offset for _, offset in pairs if offset is not None]
    return [facts for facts, _ in pairs], offsets[0] if offsets else None


async def _provider(
    name: str, spec: Provider, secrets: Mapping[str, str], offline: bool
) -> tuple[ProviderFacts, float | None]:
    if spec.url is None:
        return ProviderFacts(name, "", "embedded"), None
    parts = urlsplit(spec.url)
    host, tls = parts.hostname or "", parts.scheme == "wss"
    port = parts.port or (443 if tls else 80)
    where = f"{host}:{port}"
    if offline and host not in {"127.0.0.1", "localhost", "::1"}:
        return ProviderFacts(name, where, "skipped"), None
    began = time.monotonic()
    try:
        days = await reach(host, port, tls=tls)
    except ReachError as error:
        return ProviderFacts(name, where, error.stage, str(error)), None
    connect_ms = (time.monotonic() - began) * 1000
    key = secrets.get(spec.api_key_env, "") if spec.api_key_env else ""
    auth, offset = await _models(spec.url, key) if spec.kind == "openai" and key else (None, None)
    return ProviderFacts(name, where, "done", "", auth, days, connect_ms), offset


class ReachError(Exception):
    """Not reached; `stage` is where it ended."""

    def __init__(self, stage: Any, message: str) -> None:
        super().__init__(message)
        self.stage = stage


async def reach(host: str, port: int, *, tls: bool) -> float | None:
    """Connect and let go; answers the days that the server's certificate is still valid. Raises ReachError."""
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(REACH_S):
            await loop.getaddrinfo(host, port)
    except (OSError, TimeoutError) as error:
        raise ReachError("dns", str(error) or "no answer") from error
    try:
        async with asyncio.timeout(REACH_S):
            context = ssl.create_default_context() if tls else None
            _, writer = await asyncio.open_connection(host, port, ssl=context)
    except ssl.SSLError as error:
        raise ReachError("tls", getattr(error, "verify_message", "") or str(error)) from error
    except (OSError, TimeoutError) as error:
        raise ReachError("connect", str(error) or f"no answer within {REACH_S:g} s") from error
    certificate = writer.get_extra_info("peercert") or {}
    writer.close()
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            await writer.wait_closed()
    ends = certificate.get("notAfter")
    return (ssl.cert_time_to_seconds(ends) - time.time()) / 86_400 if ends else None


async def _models(realtime_url: str, key: str) -> tuple[int | None, float | None]:
    """GET …/v1/models: free, and says whether the key counts."""
    parts = urlsplit(realtime_url)
    scheme = "https" if parts.scheme == "wss" else "http"
    url = f"{scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/realtime')}/models"
    async with httpx.AsyncClient(timeout=REACH_S) as client:
        try:
            answer = await client.get(url, headers={"Authorization": f"Bearer {key}"})
        except httpx.HTTPError:
            return None, None
    told = answer.headers.get("date")
    try:
        offset = time.time() - email.utils.parsedate_to_datetime(told).timestamp() if told else None
    except ValueError:
        offset = None
    return answer.status_code, offset


async def mcp(
    servers: Mapping[str, McpServer], accepted: Mapping[str, int], *, offline: bool
) -> list[McpFacts]:
    """Whether the program is there or the address answers. No session is begun: that would start foreign programs."""
    return [await _mcp(name, server, accepted.get(name, 0), offline) for name, server in servers.items()]


async def _mcp(name: str, server: McpServer, accepted: int, offline: bool) -> McpFacts:
    if server.command is not None:
        program = server.command[0]
        there = shutil.which(program, path=os.environ.get("PATH"))
        return McpFacts(name, program, "" if there else f"the program {program} is not found", accepted)
    parts = urlsplit(server.url or "")
    tls = parts.scheme == "https"
    port = parts.port or (443 if tls else 80)
    where = f"{parts.hostname}:{port}"
    if offline:
        return McpFacts(name, where, "", accepted)
    try:
        await reach(parts.hostname or "", port, tls=tls)
    except ReachError as error:
        return McpFacts(name, where, f"not reached ({error.stage}): {error}", accepted)
    return McpFacts(name, where, "", accepted)


def accepted(pins: Iterable[tuple[str, str]]) -> dict[str, int]:
    """How many definitions of each server are in the lock file."""
    found: dict[str, int] = {}
    for server, _ in pins:
        found[server] = found.get(server, 0) + 1
    return found
