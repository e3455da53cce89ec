"""Reading the settings: file, environment overrides, the embedded default, and what a worker gets of them.

    file + SIPBRIDGE_* ──load──► Settings ──worker_config(i)──► WorkerConfig
    no file            ──load(None, environ)──► the complete embedded default

A mistake names file, line, column and key, or the environment variable. The keys are described in
bridge/settings_model.py. This module never reads the value of a secret and never prints one.

Not worker-safe (pydantic, PyYAML). Called by the CLI, the supervisor and control at their start; any thread.
"""

import os
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from bridge import config, yamlfile
from bridge.errors import Problem, SettingsError
from bridge.fieldhelp import nearest
from bridge.secretsource import FILE_SUFFIX, Secrets
from bridge.settings_console import audio_rules
from bridge.settings_edge import edge_rules
from bridge.settings_model import Provider, Settings
from bridge.yamlfile import Place, YamlFile

__all__ = [
    "Settings", "load", "missing_secrets", "pool_of", "rtp_range", "secret_names", "slots", "worker_config",
]  # fmt: skip

PREFIX = "SIPBRIDGE_"
STORE = "SIPBRIDGE_STORE"
"""May hold a password, so it is looked for wherever a secret may be (bridge/secretsource.py)."""
NOT_SETTINGS = frozenset(
    {"SIPBRIDGE_CONFIG", "SIPBRIDGE_TOKEN", "SIPBRIDGE_TOKEN" + FILE_SUFFIX, STORE + FILE_SUFFIX}
)
"""Variables of our name that are no override: the CLI reads the settings file's path from it."""
WIDE_CODEC = "G722"
RATES_HZ = {"narrow": 8000, "wide": 16000}
PORTS_PER_CALL = 4
"""RTP and RTCP, and a second pair: a port is not used again while late packets of the last call arrive."""
MAX_SOCKET_PATH = 107 - len("/run/supervisor.sock")
"""Linux gives a Unix socket 107 bytes, and that is the longest name we add."""
OPENAI_URL = "wss://api.openai.com/v1/realtime"
DEFAULT_KEYS = {"openai": "OPENAI_API_KEY", "azure": "AZURE_OPENAI_API_KEY"}


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """The settings of a file, or the embedded default when `path` is None. Raises SettingsError."""
    environ = _with_store(environ)
    if path is None:
        document, base = _embedded(Secrets(environ)), Path.cwd()
    else:
        document, base = yamlfile.read(path, SettingsError), path.absolute().parent
    if not isinstance(document.data, dict):
        raise SettingsError([document.problem((), "the file must hold keys", "for example: workers: 2")])
    _override(document, environ)
    settings = yamlfile.validate(document, Settings, SettingsError, {"base": base})
    problems = list(_rules(settings, document))
    if problems:
        raise SettingsError(problems)
    return _complete(settings, base).read_from(document)


def slots(settings: Settings) -> int:
    """Places for worker processes: the workers, and with the edge the surge slots in which replacements start."""
    return settings.workers + (settings.pool.surge if settings.edge.behind else 0)


def pool_of(settings: Settings, index: int) -> config.PoolKind:
    """The pool that slot `index` begins in: the last of the workers are the wide ones."""
    return "wide" if settings.workers - settings.pool.wide_workers <= index < settings.workers else "narrow"


def worker_config(
    settings: Settings,
    index: int,
    *,
    sip_port: int | None = None,
    local_url: str | None = None,
    pool: config.PoolKind | None = None,
) -> config.WorkerConfig:
    """What the worker in slot `index` (from 0) is told.

    `sip_port`: the first worker's port, when another one than the settings' was free. `local_url`: where the
    embedded engine listens, for providers of kind local without a url of their own. `pool`: another one than the
    slot begins in.
    """
    pool = pool or pool_of(settings, index)
    first, last = rtp_range(settings, index)
    sip, edge = settings.sip, settings.edge
    state = settings.state_dir
    return config.WorkerConfig(
        index=index,
        name=f"worker-{index}",
        default_provider=str(settings.default_provider),
        sip=config.SipConfig(
            bind=edge.workers_bind if edge.behind else sip.bind,
            port=(edge.workers_port if edge.behind else sip_port or sip.port) + index,
            rtp_first=first,
            rtp_last=last,
            public_address=None if edge.behind else sip.public_address,
            codecs=codecs_of(settings, pool),
            user_agent=sip.user_agent,
            max_calls=settings.calls_per_worker,
            verstat_from=tuple(sip.verstat_from),
            edge=edge.inner_sockets,
            hep=settings.hep.socket,
            hep_id=settings.hep.capture_id,
            record=sip.record_messages,
        ),
        media=config.MediaConfig(rate_hz=RATES_HZ[pool], **settings.media.model_dump()),
        recording=config.RecordingConfig(settings.recording.enabled, str(settings.recording.folder)),
        limits=config.LimitsConfig(**settings.limits.model_dump()),
        deadlines=config.DeadlinesConfig(**settings.deadlines.model_dump()),
        providers=tuple(_provider(name, spec, local_url) for name, spec in settings.providers.items()),
        log=config.LogConfig(**settings.log.model_dump(include={"level", "format", "redact"})),
        paths=config.PathsConfig(
            str(state), str(state / "link.sock"), str(state / "spool"), str(state / "prompts")
        ),
        pool=pool,
    )


def codecs_of(settings: Settings, pool: config.PoolKind) -> tuple[str, ...]:
    """What a worker of that kind offers and accepts, best first. G.722: the wide ones, and only they."""
    named = settings.sip.codecs
    if pool == "wide":
        return tuple(named) if WIDE_CODEC in named else (WIDE_CODEC, *named)
    return tuple(codec for codec in named if codec != WIDE_CODEC)


def rtp_range(settings: Settings, index: int) -> tuple[int, int]:
    """First (even) and last RTP port of slot `index`: equal parts of `sip.rtp_ports` or `edge.workers_rtp_ports`."""
    edge = settings.edge
    first, last = map(int, (edge.workers_rtp_ports if edge.behind else settings.sip.rtp_ports).split("-"))
    share = (last - first + 1) // max(slots(settings), 1) // 2 * 2
    return first + index * share, first + (index + 1) * share - 1


def missing_secrets(settings: Settings, environ: Mapping[str, str]) -> list[Problem]:
    """A Problem for every secret that the settings name and that is nowhere to be found.

    `serve` refuses to start then.
    """
    secrets = Secrets(environ)
    found = ((key, variable, secrets.why_missing(variable)) for key, variable in secret_names(settings))
    return [
        Problem("environment", 0, 0, key, why, f"export {variable} or {variable}{FILE_SUFFIX}")
        for key, variable, why in found
        if why
    ]


def secret_names(settings: Settings) -> list[tuple[str, str]]:
    """(key of the settings, name of the variable) of every secret that the settings name."""
    named: list[tuple[str, str | None]] = []
    for name, provider in settings.providers.items():
        wanted = [*provider.headers_env.values(), provider.api_key_env]
        named += [(f"providers.{name}", variable) for variable in wanted]
    for name, server in settings.mcp.items():
        secret = server.oauth.client_secret_env if server.oauth else server.token_env
        named += [(f"mcp.{name}", variable) for variable in (*server.env.values(), secret)]
    named += [("audit", settings.audit.secret_env), ("node", settings.node.decision_key_env)]
    for name, channel in settings.notify.channels.items():
        named += [(f"notify.channels.{name}", one) for one in (channel.apprise_env, channel.secret_env)]
    if settings.console.oidc:
        named.append(("console.oidc", settings.console.oidc.client_secret_env))
    named.append(("console.audio.ice_password_env", settings.console.audio.ice_password_env))
    if settings.tracing.enabled:
        named += [("tracing.headers_env", variable) for variable in settings.tracing.headers_env.values()]
    return [(key, variable) for key, variable in named if variable]


def _with_store(environ: Mapping[str, str]) -> Mapping[str, str]:
    """The environment with the store's URL in it, wherever that lies. SettingsError: it is named but not to be had."""
    secrets = Secrets(environ)
    url = secrets.get(STORE)
    why = secrets.why_missing(STORE) if environ.get(STORE + FILE_SUFFIX) else ""
    if why:
        raise SettingsError([Problem("environment", 0, 0, "store", why)])
    return {**environ, STORE: url} if url else environ


def _embedded(environ: Mapping[str, str]) -> YamlFile:
    """No file: the local engine, or OpenAI as soon as its key is in the environment."""
    kind = "openai" if environ.get("OPENAI_API_KEY") else "local"
    data: dict[str, Any] = {"providers": {kind: {"kind": kind}}}
    for key in ("dialplans", "tools"):
        shipped = Path(__file__).parents[1] / key
        if not Path(key).exists() and shipped.exists():
            data[key] = str(shipped)
    places = Place(0, 0, children={"providers": Place(0, 0, children={kind: Place(0, 0)})})
    return YamlFile("embedded default", data, places)


def _override(document: YamlFile, environ: Mapping[str, str]) -> None:
    """Put SIPBRIDGE_A__B=value over the key a.b; the value is read as YAML."""
    for variable in sorted(environ):
        if not variable.startswith(PREFIX) or variable in NOT_SETTINGS:
            continue
        source = f"environment variable {variable}"
        path = [part.lower() for part in variable.removeprefix(PREFIX).split("__")]
        value, place = _value_of(source, environ[variable], ".".join(path))
        place.source = source
        data, at = document.data, document.root
        for part in path[:-1]:
            if not isinstance(data.get(part), dict):
                data[part], at.children[part] = {}, Place(0, 0, source=source)
            data, at = data[part], at.children[part]
        data[path[-1]], at.children[path[-1]] = value, place


def _value_of(source: str, text: str, key: str) -> tuple[Any, Place]:
    if not text.strip():
        return "", Place(0, 0, "")
    try:
        parsed = yamlfile.parse(source, text.encode("utf-8", "surrogateescape"), SettingsError)
    except SettingsError:  # its positions would be those of a file; the text itself may be a secret
        hint = "check quotes and brackets; quote it if it is text"
        raise SettingsError([Problem(source, 0, 0, key, "the value is not YAML", hint)]) from None
    return parsed.data, parsed.root


def _codec_rules(settings: Settings, document: YamlFile) -> Iterator[Problem]:
    codecs, key = settings.sip.codecs, ("sip", "codecs")
    if len({*codecs}) < len(codecs):
        yield document.problem(key, "the same codec twice", "name it once")
    if {*codecs} == {WIDE_CODEC}:
        hint = "add PCMU or PCMA: narrow workers, and most carriers, speak nothing else"
        yield document.problem(key, "G722 alone", hint)
    elif WIDE_CODEC in codecs and settings.workers and not settings.pool.wide_workers:
        hint = "set pool.wide_workers, or leave G722 out"
        yield document.problem(key, "G722 is spoken by wide workers only, and there are none", hint)


def _rules(settings: Settings, document: YamlFile) -> Iterator[Problem]:
    """Mistakes that only show when several keys are seen together."""
    yield from _port_rules(settings, document)
    if settings.pool.wide_workers > settings.workers:
        message = f"more than there are workers ({settings.workers})"
        yield document.problem(("pool", "wide_workers"), message, "raise workers, or lower this")
    yield from _codec_rules(settings, document)
    for message, hint in audio_rules(settings.console.audio, list(_udp_ports(settings))):
        yield document.problem(("console", "audio", "ports"), message, hint)
    for path, message, hint in edge_rules(
        settings.edge, settings.sip.bind, settings.sip.port, settings.workers
    ):
        yield document.problem(path, message, hint)
    if len(os.fsencode(settings.state_dir)) > MAX_SOCKET_PATH:
        message = f"the whole path is longer than {MAX_SOCKET_PATH} bytes: Unix sockets in it would not work"
        yield document.problem(("state_dir",), message, "choose a shorter one")
    yield from _store_rules(settings, document)
    for name, provider in settings.providers.items():
        yield from _provider_rules(document, name, provider)
    names = list(settings.providers) or ["local"]
    if settings.default_provider and settings.default_provider not in names:
        hint = nearest(settings.default_provider, names)
        yield document.problem(("default_provider",), "no such provider", hint)


def _port_rules(settings: Settings, document: YamlFile) -> Iterator[Problem]:
    """Of the workers, which with an edge are other ones than where calls come in."""
    edge, places = settings.edge, slots(settings)
    port, ports = (edge.workers_port, edge.workers_rtp_ports) if edge.behind else _own_ports(settings)
    port_key = ("edge", "workers_port") if edge.behind else ("sip", "port")
    ports_key = ("edge", "workers_rtp_ports") if edge.behind else ("sip", "rtp_ports")
    first, last = map(int, ports.split("-"))
    needed = places * settings.calls_per_worker * PORTS_PER_CALL
    if last - first + 1 < needed:
        message = f"{last - first + 1} ports are too few: {places} workers need {needed}"
        hint = f"for example {first}-{first + needed - 1}" if first + needed <= 65536 else "begin lower"
        yield document.problem(ports_key, message, hint)
    if port + places - 1 > 65535:
        yield document.problem(port_key, "too high: worker i listens on port + i", "use a lower port")
    if any(one in range(first, last + 1) for one in range(port, port + places)):
        yield document.problem(ports_key, "the SIP port lies inside the RTP ports", "move one of them")


def _udp_ports(settings: Settings) -> Iterator[tuple[str, int, int]]:
    """(key, first, last) of every range that this node uses besides those of browsers."""
    edge, sip, more = settings.edge, settings.sip, max(slots(settings) - 1, 0)
    if edge.behind:
        yield "edge.workers_rtp_ports", *_both(edge.workers_rtp_ports)
        yield "edge.workers_port and those after it", edge.workers_port, edge.workers_port + more
    if edge.enabled:
        yield "edge.inner_port", edge.inner_port, edge.inner_port
        yield "edge.control_port", edge.control_port, edge.control_port
    if edge.enabled or not edge.at:
        yield "sip.rtp_ports", *_both(sip.rtp_ports)
        yield "sip.port", sip.port, sip.port + (0 if edge.enabled else more)


def _both(ports: str) -> tuple[int, int]:
    first, _, last = ports.partition("-")
    return int(first), int(last)


def _own_ports(settings: Settings) -> tuple[int, str]:
    return settings.sip.port, settings.sip.rtp_ports


def _store_rules(settings: Settings, document: YamlFile) -> Iterator[Problem]:
    place, _ = document.find(("store",))
    if (
        settings.store
        and not place.source
        and "@" in settings.store
        and ":" in settings.store.split("@")[0][13:]
    ):
        hint = "take it out, replace it, and set SIPBRIDGE_STORE to the whole URL"
        yield document.problem(("store",), "a password does not belong into the file", hint)


def _provider_rules(document: YamlFile, name: str, provider: Provider) -> Iterator[Problem]:
    here = ("providers", name)
    if provider.url is None and provider.kind in {"azure", "compatible"}:
        yield document.problem((*here, "url"), f"needed for kind {provider.kind}", at_key=True)
    if provider.kind == "azure" and "model" not in provider.model_fields_set:
        yield document.problem((*here, "model"), "needed for kind azure: the deployment", at_key=True)
    if provider.scenario and provider.kind != "local":
        yield document.problem((*here, "scenario"), "only for kind local", "remove it")
    if provider.kind in DEFAULT_KEYS and provider.url and _in_the_clear(provider.url):
        yield document.problem((*here, "url"), "ws:// would send the key in the clear", "use wss://")


def _in_the_clear(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "wss" or parts.hostname == "localhost":
        return False
    try:
        return not ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return True


def _complete(settings: Settings, base: Path) -> Settings:
    """The values that follow from others, filled in."""
    providers = settings.providers or {"local": Provider(kind="local")}
    recording = settings.recording
    folder = recording.folder or settings.state_dir / "recordings"
    store = settings.store or f"sqlite:///{settings.state_dir / 'sipbridge.db'}"
    if store.startswith("sqlite:///"):
        store = f"sqlite:///{base / store.removeprefix('sqlite:///')}"
    changes = {
        "providers": {name: _with_defaults(provider) for name, provider in providers.items()},
        "default_provider": settings.default_provider or next(iter(providers)),
        "recording": recording.model_copy(update={"folder": folder}),
        "store": store,
    }
    return settings.model_copy(update=changes)


def _with_defaults(provider: Provider) -> Provider:
    url = OPENAI_URL if provider.kind == "openai" else None
    key = DEFAULT_KEYS.get(provider.kind)
    return provider.model_copy(
        update={"url": provider.url or url, "api_key_env": provider.api_key_env or key}
    )


def _provider(name: str, spec: Provider, local_url: str | None) -> config.ProviderConfig:
    url = spec.url or (local_url if spec.kind == "local" else None)
    scenario = str(spec.scenario) if spec.scenario else None
    headers = tuple(sorted(spec.headers_env.items()))
    return config.ProviderConfig(name, spec.kind, url, spec.api_key_env, spec.model, scenario, headers)
