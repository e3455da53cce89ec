"""baresip as a phone: headless, its own folder, told what to do over its TCP control port (netstrings of JSON).

It speaks a WAV file, records what it hears (module sndfile), and says what happens on the call as events.
"""

import asyncio
import json
import struct
import wave
from contextlib import asynccontextmanager
from pathlib import Path

from tests.fakes.ports import free_block, free_port
from tests.fakes.realtime_server import tone

GUARD_S = 20.0
MODULES = Path("/usr/lib/baresip/modules")
CONFIG = """\
sip_listen 127.0.0.1:{sip}
net_interface 127.0.0.1
rtp_ports {rtp}-{rtp_last}
module_path {modules}
{codecs}
module aufile.so
module aubridge.so
module sndfile.so
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen 127.0.0.1:{control}
audio_source aufile,{speech}
audio_player aubridge,nobody
audio_alert aubridge,bell
audio_buffer 20-160
snd_path {folder}
"""


class Baresip:
    """A running phone."""

    def __init__(self, folder, sip_port, reader, writer):
        self.folder = folder
        self.sip_port = sip_port
        self.events = []
        self.changed = asyncio.Condition()
        self._reader = reader
        self._writer = writer

    def tell(self, command, params=""):
        """Give a command of its menu: dial, accept, hold, resume, sndcode, hangup."""
        text = json.dumps({"command": command, "params": params, "token": command})
        self._writer.write(f"{len(text)}:{text},".encode())

    @property
    def uri(self):
        return f"sip:bare@127.0.0.1:{self.sip_port}"

    async def accepts(self):
        """Take the call that rings."""
        await self.event("CALL_INCOMING")
        self.tell("accept")
        await self.event("CALL_ESTABLISHED")

    async def event(self, kind, count=1):
        """Wait until it has reported `count` events of a kind, e.g. CALL_ESTABLISHED."""
        try:
            async with asyncio.timeout(GUARD_S), self.changed:
                await self.changed.wait_for(
                    lambda: sum(event.get("type") == kind for event in self.events) >= count
                )
        except TimeoutError:
            said = (self.folder / "log").read_text(errors="replace")[-2000:]
            raise AssertionError(f"no {kind} in {GUARD_S:g} s but {self.events}; its log: {said}") from None

    async def listen(self):
        """Read its events until it is gone."""
        while size := await self._reader.readuntil(b":"):
            message = await self._reader.readexactly(int(size[:-1]) + 1)
            async with self.changed:
                self.events.append(json.loads(message[:-1]))
                self.changed.notify_all()

    def recorded(self, side):
        """Samples it heard (`dec`) or sent (`enc`), 8 kHz. A header of a file still open says nothing of its length."""
        data = b"".join(path.read_bytes()[44:] for path in sorted(self.folder.glob(f"dump-*-{side}.wav")))
        return [sample for (sample,) in struct.iter_unpack("<h", data[: len(data) // 2 * 2])]


def speech_file(folder, hz=1600, rate_hz=8000):
    """Twenty seconds of a tone to say."""
    path = folder / "speech.wav"
    with wave.open(str(path), "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate_hz)
        writer.writeframes(tone(20_000, rate_hz, hz=hz))
    return path


@asynccontextmanager
async def baresip(folder, speech, registrar="", user="bare", password="", *, codecs=("g711",), options=""):
    """Start it, wait until it takes commands; end it by its own command. `registrar`: HOST:PORT to register at.

    `codecs`: modules of its, offered in that order; `options`: more parameters of its account.
    """
    folder.mkdir()
    sip, control, rtp = free_port(), free_port(), free_block(100)
    settings = {"sip": sip, "control": control, "rtp": rtp, "rtp_last": rtp + 98, "modules": MODULES}
    settings["codecs"] = "\n".join(f"module {name}.so" for name in codecs)
    (folder / "config").write_text(CONFIG.format(**settings, speech=speech, folder=folder))
    account = f"<sip:{user}@{registrar or f'127.0.0.1:{sip}'}>;auth_user={user};auth_pass={password}"
    (folder / "accounts").write_text(f"{account};regint={60 if registrar else 0}{options}\n")
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "baresip", "-f", str(folder), cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
        )
    try:
        phone = Baresip(folder, sip, *await _connected(control))
        listening = asyncio.create_task(phone.listen())
        try:
            yield phone
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
            phone._writer.close()
    finally:
        process.terminate()
        try:
            async with asyncio.timeout(3):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


async def _connected(port):
    async with asyncio.timeout(GUARD_S):
        while True:
            try:
                return await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
