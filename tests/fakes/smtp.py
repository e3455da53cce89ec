"""A mail server that keeps what it gets (RFC 5321, as much as a client needs). Refuses the first `refuse` messages."""

import asyncio
import contextlib
from email import message_from_bytes, policy


class Mailbox:
    """`messages`: parsed e-mails, in order; `refused` counts those sent away with 451."""

    def __init__(self, refuse=0):
        self.messages, self.refuse, self.refused, self.came = [], refuse, 0, asyncio.Event()

    async def serve(self, reader, writer):
        async def say(line):
            writer.write(line.encode() + b"\r\n")
            await writer.drain()

        with contextlib.suppress(ConnectionError):
            await say("220 sink ESMTP")
            while line := await reader.readline():
                word = line.split()[0].upper() if line.split() else b""
                if word == b"DATA":
                    await say("354 go on")
                    raw = await reader.readuntil(b"\r\n.\r\n")
                    await say(self._take(raw[:-5].replace(b"\r\n..", b"\r\n.")))
                elif word == b"QUIT":
                    await say("221 bye")
                    break
                else:
                    await say("250 sink" if word in (b"EHLO", b"HELO") else "250 ok")
        writer.close()

    def _take(self, raw):
        self.came.set()
        if self.refused < self.refuse:
            self.refused += 1
            return "451 try again later"
        self.messages.append(message_from_bytes(raw, policy=policy.default))
        return "250 kept"

    async def count(self, wanted, deadline_s=20):
        async with asyncio.timeout(deadline_s):
            while len(self.messages) < wanted:
                self.came.clear()
                await self.came.wait()
        return self.messages


@contextlib.asynccontextmanager
async def mail_server(refuse=0):
    """The mailbox and an apprise URL that delivers into it."""
    box = Mailbox(refuse)
    async with await asyncio.start_server(box.serve, "127.0.0.1", 0, limit=16 * 1024 * 1024) as server:
        port = server.sockets[0].getsockname()[1]
        yield box, f"mailto://127.0.0.1:{port}?from=bridge@example.org&to=desk@example.org&mode=insecure"
