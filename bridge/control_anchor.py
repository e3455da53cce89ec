"""The audit chain's head, kept where the database is not: a file, a URL, or both.

Each is a line {seq, hash, at, key_id, signature}. Whoever cuts entries off the end of the chain would have to cut the
same ones there. Written whenever the head moved, at most once in EVERY_S. One task, on control's loop.
"""

import asyncio
import json
import os
import time
from pathlib import Path

import structlog

from bridge import webhook
from bridge.approval.chain import head_text
from bridge.approval.signing import Signer
from bridge.errors import StoreError, WebhookError
from bridge.records.complaint import Complaint
from bridge.settings_tools import AuditHeads
from bridge.store.gatestore import GateStore

log = structlog.get_logger(__name__)

EVERY_S = 5.0
HEADS = "audit-heads.jsonl"


class Anchor:
    """Keeps heads. `secret`: of the URL's webhook."""

    def __init__(
        self, store: GateStore, signer: Signer, settings: AuditHeads, state_dir: Path, secret: str
    ) -> None:
        self._store = store
        self._signer = signer
        self._file = settings.heads or state_dir / HEADS
        self._url = settings.webhook
        self._secret = secret
        self._kept = self._written = 0

    async def run(self) -> None:
        """Until cancelled."""
        complaint = Complaint(log, "audit.head_not_kept", "audit.head_kept_again")
        while True:
            try:
                await self.keep()
                complaint.worked()
            except (StoreError, OSError, WebhookError) as error:
                complaint.failed(str(error))
            await asyncio.sleep(EVERY_S)

    async def keep(self) -> None:
        """Keep the head, if it moved."""
        seq, digest = await self._store.head()
        if seq in {0, self._kept}:
            return
        at = round(time.time(), 3)
        head = {"seq": seq, "hash": digest, "at": at, "key_id": self._signer.key_id}
        head["signature"] = self._signer.sign(head_text(seq, digest, at))
        if seq != self._written:
            await asyncio.to_thread(_append, self._file, json.dumps(head) + "\n")
            self._written = seq
        if self._url is not None:
            await webhook.post(
                self._url, self._secret, f"audit-head-{seq}", {"type": "audit.head", "data": head}
            )
        self._kept = seq


def _append(path: Path, line: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
