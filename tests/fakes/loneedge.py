"""The real edge's Kamailio, as rendered, with nothing behind it but a socket that stands for the one worker.

No control, no rtpengine (so calls are without SDP): what Kamailio alone lets through, and to whom.
"""

import asyncio
import re
from contextlib import asynccontextmanager

from bridge.edge.dispatch import listed
from bridge.edge.folder import EdgeFolder
from bridge.edge.render import Place, kamailio_cfg
from bridge.edge.rpc import KamailioRpc
from bridge.edge.tables import address_list, dispatcher_list, entries, htable, logins
from bridge.settings import load
from bridge.trunk import Digest, Trunk
from tests.fakes.kamailio import Process
from tests.fakes.ports import free_block
from tests.fakes.rawphone import RawPhone

SECRET = "0123456789abcdef0123456789abcdef"


class Worker(RawPhone):
    """Answers nothing by itself but OPTIONS; what else comes is kept, as it came."""

    def __init__(self, port):
        super().__init__(port)
        self.texts = []

    async def open(self, own_port):
        loop = asyncio.get_running_loop()
        self.sip_transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=(self.host, own_port)
        )
        self.bell = asyncio.Event()

    def close(self):
        self.sip_transport.close()

    def connection_made(self, transport):
        """Of the protocol."""

    def connection_lost(self, error):
        """Of the protocol."""

    def datagram_received(self, data, addr):
        text = data.decode()
        if text.startswith("OPTIONS "):
            self.answer(text, 200)
            return
        if text not in self.texts:  # Kamailio sends it again
            self.texts.append(text)
        self.bell.set()

    def answer(self, request, status, headers=""):
        """Answer a request as it came."""
        kept = re.findall(r"(?im)^(?:via|from|to|call-id|cseq|record-route):[^\r]*", request)
        kept = [f"{one};tag=w1" if re.match(r"(?i)to:(?!.*;tag=)", one) else one for one in kept]
        lines = "\r\n".join([f"SIP/2.0 {status} So", *kept])
        self.sip_transport.sendto(
            f"{lines}\r\n{headers}Content-Length: 0\r\n\r\n".encode(), ("127.0.0.1", self.port)
        )

    async def got(self, start, guard_s=10.0):
        """The newest request or answer that begins so."""
        async with asyncio.timeout(guard_s):
            while not (found := [text for text in self.texts if text.startswith(start)]):
                self.bell.clear()
                await self.bell.wait()
        return found[-1]


class LoneEdge(Process):
    """`worker`: the only one. `port`: for everybody."""

    def __init__(self, folder, ports):
        super().__init__(folder, ports)
        self.inner_port, self.worker_port, self.control_port = ports + 2, ports + 4, ports + 6
        self.worker = Worker(self.inner_port)
        self.rpc = None

    def prepare(self, edge, addresses, login):
        (self.folder / "bridge.yaml").write_text(
            f"state_dir: state\nsip: {{port: {self.port}}}\nedge: {{enabled: true, inner_port: {self.inner_port}, "
            f"workers_port: {self.worker_port}, control_port: {self.control_port}, processes: 1{edge}}}\n"
        )
        settings = load(self.folder / "bridge.yaml", {})
        folder = EdgeFolder(settings, self.folder / "edge")
        folder.make()
        uri = f"sip:127.0.0.1:{self.worker_port}"
        folder.write("address.list", address_list(addresses, [("127.0.0.1", self.worker_port)]))
        folder.write("dispatcher.list", dispatcher_list(entries([(uri, 4)]), {("narrow", f"{uri};g=0")}))
        if login:
            user, password = login
            trunks = [Trunk("branch", login=Digest(user, "", "PASSWORD"))]
            for name, values in logins(trunks, settings.edge.realm, {"PASSWORD": password}).items():
                folder.write(f"tables/{name}", htable(values))
        self.rpc = KamailioRpc(folder.path)
        return kamailio_cfg(settings, Place(str(folder.path), self.port, SECRET))

    async def counted(self, name):
        """One of the edge's counters."""
        return int((await self.rpc.table("count")).get(name, 0))

    async def active(self):
        """Entries of the dispatcher that get calls."""
        return [one for one in listed(await self.rpc.ask_long("dispatcher.list")) if one.flags[0] in "AT"]


@asynccontextmanager
async def lone_edge(folder, *, edge="", addresses=(), login=None, instead=("", "")):
    """Running for as long as the block. `edge`: more settings of it, after a comma; `login`: (user, password).

    `instead`: a text of the configuration, and what stands there instead.
    """
    one = LoneEdge(folder, free_block(8))
    text = one.prepare(edge, addresses, login)
    assert instead[0] in text
    text = text.replace(*instead) if instead[0] else text
    await one.worker.open(one.worker_port)
    try:
        await one.start(text)
        yield one
    finally:
        await one.stop()
        one.worker.close()
