"""Kamailio as registrar and as trunk with digest: unprivileged, in the foreground, on loopback, its own folder.

REGISTER and INVITE are challenged (any user, one password); calls to a registered user go to its contact, all others
to `onward`. What it is
asked and how it answers stands in its log, a line each, for `seen`.
"""

import asyncio
import contextlib
import os
import shutil
import signal
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fakes.ports import free_port

BINARY = "/usr/sbin/kamailio"
GUARD_S = 10.0
MODULES = (
    "tm", "tmx", "sl", "rr", "pv", "maxfwd", "usrloc", "registrar", "textops", "siputils", "xlog", "auth", "sdpops",
)  # fmt: skip
CONFIG = """\
debug=1
log_stderror=yes
fork=no
children=1
auto_aliases=no
listen=udp:127.0.0.1:{port}
pv_buffer_size=2048
{modules}
modparam("auth", "force_stateless_reply", 1)
modparam("usrloc", "db_mode", 0)
modparam("registrar", "min_expires", 5)
modparam("registrar", "max_expires", 3600)
request_route {{
    xlog("L_ERR", "SEEN $rm $ru from=$fu au=$au expires=$hdr(Expires) contact=$ct\\n");
    if (is_method("OPTIONS") && uri == myself) {{ sl_send_reply("200", "OK"); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
        t_relay();
        exit;
    }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (is_method("ACK")) {{ exit; }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("{realm}", "{password}", "0")) {{ www_challenge("{realm}", "0"); exit; }}
        if ($au != $tU) {{ sl_send_reply("403", "Forbidden"); exit; }}
        save("location");
        xlog("L_ERR", "SAVED $fu expires=$hdr(Expires)\\n");
        exit;
    }}
    if (is_method("INVITE")) {{
        record_route();
        if (src_port == {onward}) {{
            if (!lookup("location")) {{ sl_send_reply("404", "Not Found"); exit; }}
            t_relay();
            exit;
        }}
        if (!pv_proxy_authenticate("{realm}", "{password}", "0")) {{ proxy_challenge("{realm}", "0"); exit; }}
        consume_credentials();
        if (lookup("location")) {{ t_relay(); exit; }}
        $du = "sip:127.0.0.1:{onward}";
        t_relay();
        exit;
    }}
    sl_send_reply("405", "Method Not Allowed");
}}
"""


class Process:
    """A running Kamailio with a configuration of its own, listening on `port` at least."""

    def __init__(self, folder, port):
        self.folder = folder
        self.port = port
        self.process = None

    @property
    def host(self):
        return f"127.0.0.1:{self.port}"

    def seen(self, *words):
        """Lines of its log that have all of the words."""
        lines = (self.folder / "kamailio.log").read_text(errors="replace").splitlines()
        return [line for line in lines if all(word in line for word in words)]

    async def until(self, *words, count=1, guard_s=GUARD_S):
        """Wait for `count` such lines."""
        async with asyncio.timeout(guard_s):
            while len(found := self.seen(*words)) < count:  # noqa: ASYNC110  # it is another process's file
                await asyncio.sleep(0.02)
        return found

    async def start(self, text):
        (self.folder / "kamailio.cfg").write_text(text)
        with (self.folder / "kamailio.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                BINARY, "-DD", "-E", "-m", "16", "-M", "4", "-f", str(self.folder / "kamailio.cfg"),
                "-Y", str(self.folder), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        async with asyncio.timeout(GUARD_S):
            while not await self._listens():
                assert self.process.returncode is None, (self.folder / "kamailio.log").read_text()[-3000:]
                await asyncio.sleep(0.05)

    async def _listens(self):
        table = await asyncio.to_thread(Path("/proc/net/udp").read_text)
        return f":{self.port:04X} " in table

    async def stop(self):
        if self.process is not None and self.process.returncode is None:
            self.process.terminate()
            try:
                async with asyncio.timeout(3):
                    await self.process.wait()
            except TimeoutError:
                self.process.kill()
                await self.process.wait()
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # its children may outlive it


class Kamailio(Process):
    """Registrar and trunk. `onward` is the port of the phone behind it."""

    user, password, realm = "1001", "s3cret", "pbx.test"

    def __init__(self, folder, port, onward):
        super().__init__(folder, port)
        self.onward = onward

    def text(self):
        return CONFIG.format(
            port=self.port, onward=self.onward, realm=self.realm, user=self.user, password=self.password,
            modules="\n".join(f'loadmodule "{name}.so"' for name in MODULES),
        )  # fmt: skip


@asynccontextmanager
async def kamailio(folder, onward, port=None):
    """Running for as long as the block."""
    folder.mkdir(exist_ok=True)
    one = Kamailio(folder, port or free_port(), onward)
    await one.start(one.text())
    try:
        yield one
    finally:
        await one.stop()


def missing():
    """Whether Kamailio is not installed."""
    return shutil.which(BINARY) is None
