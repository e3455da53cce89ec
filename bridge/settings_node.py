"""The settings of several nodes: what this one is called, when one counts as lost, and how PostgreSQL is used.

Not worker-safe (pydantic). Pure but for the name of the machine.
"""

import re
import socket
from typing import Annotated

from pydantic import AfterValidator, Field

from bridge.settings_base import EnvName, HostAddress, HttpUrl, Seconds, Section

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def _node_name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise ValueError("letters, digits, '.', '-' and '_' are allowed, 63 at most | for example node-a")
    return value


NodeName = Annotated[str, AfterValidator(_node_name)]


class Node(Section):
    """One node among others that share one PostgreSQL."""

    name: NodeName | None = Field(
        default=None,
        description="What this node is called; the machine's name when left out. Each node its own.",
    )
    address: HostAddress | None = Field(
        default=None, description="IP address at which the other nodes see this one; sip.bind when left out."
    )
    url: HttpUrl | None = Field(
        default=None,
        description="Where the controls of the other nodes reach this one's HTTP (console.bind and console.port, or a "
        "proxy of them), such as http://10.0.0.11:8080: then any console plays the recordings of this node.",
    )
    heartbeat_s: Seconds = Field(default=1.0, description="How often a node says that it lives.")
    lost_after_s: Seconds = Field(
        default=10.0,
        description="A node that has not said so for this long is lost: another one ends its calls in the record. "
        "Longer than a restart of control takes; new calls do not wait for it.",
    )
    lease_s: Seconds = Field(
        default=4.0,
        description="So long nobody else does what only one node does (registrations, retention, looking after lost "
        "nodes), when the node that did it has died.",
    )
    decision_key_env: EnvName | None = Field(
        default=None,
        description="Environment variable (or file, or credential) that holds the key which seals decisions, calls "
        "to be placed and commands for other nodes: 64 hexadecimal digits, the same on every node. None: a file of its "
        "own in state_dir/keys.",
    )

    @property
    def called(self) -> str:
        """The name in force."""
        if self.name is not None:
            return self.name
        return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:63].lstrip("._-") or "node"


class Postgres(Section):
    """How PostgreSQL is used; nothing of it matters to SQLite."""

    connections: int = Field(default=4, ge=1, le=50, description="Transactions of control at a time.")
    connect_s: Seconds = Field(default=3.0, description="How long a connection may take.")
    deadline_s: Seconds = Field(
        default=10.0, description="How long a transaction may take, waiting for its turn included."
    )
