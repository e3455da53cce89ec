"""An event loop whose UDP sockets without a port of their own get one of a range: a firewall can let it in.

aioice asks its loop for sockets on port 0 and has no setting for it; this process is the seat's alone, so its loop may
choose. Shell.
"""

import asyncio
import errno
import random
from typing import Any

TRIES = 200


class SeatLoop(asyncio.SelectorEventLoop):
    """`ports`: first and last; (0, 0): any."""

    def __init__(self, ports: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self._ports = ports

    async def create_datagram_endpoint(  # type: ignore[override]
        self, protocol_factory: Any, local_addr: Any = None, **more: Any
    ) -> Any:
        """Asyncio's, for (address, 0) with a port of the range. Raises OSError: none is free."""
        first, last = self._ports
        if not first or not local_addr or local_addr[1]:
            return await super().create_datagram_endpoint(protocol_factory, local_addr, **more)
        ports = list(range(first, last + 1))
        random.shuffle(ports)
        for port in ports[:TRIES]:
            try:
                return await super().create_datagram_endpoint(protocol_factory, (local_addr[0], port), **more)
            except OSError as error:
                if error.errno != errno.EADDRINUSE:
                    raise
        raise OSError(errno.EADDRINUSE, f"no UDP port from {first} to {last} is free")
