"""The settings of the worker pool: spare processes, surge slots, when a worker is replaced, whose user it runs as.

Not worker-safe (pydantic). Pure.
"""

from typing import Annotated

from pydantic import Field

from bridge.settings_base import Section

UserName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]


class Pool(Section):
    """How the worker processes are started, watched and replaced."""

    wide_workers: int = Field(
        default=0,
        ge=0,
        le=64,
        description="How many of the workers carry wideband calls (G.722, 16 kHz). They are the last ones of the "
        "slots. They cost more, so only trunks that allow G722 should reach them.",
    )
    surge: int = Field(
        default=1,
        ge=0,
        le=16,
        description="Slots beyond workers, used only with the edge: a worker that is being replaced keeps its slot "
        "until its last call is over, and its replacement takes calls in a free slot before that. Without the edge "
        "the replacement follows in the same slot when the worker has no more calls.",
    )
    warm: bool = Field(
        default=True,
        description="Workers are forked from a process that has everything loaded: they start in a fraction of the "
        "time and share its memory. Off: each one loads everything for itself.",
    )
    spares: int = Field(
        default=1,
        ge=0,
        le=8,
        description="Processes kept ready without a slot, so that a worker that dies is replaced at once (warm only).",
    )
    recycle_after_calls: int = Field(
        default=5000,
        ge=0,
        le=10_000_000,
        description="A worker that has carried so many calls is replaced; 0: never. Without the edge it is replaced "
        "when it has no call.",
    )
    recycle_after_h: float = Field(
        default=168,
        ge=0,
        le=8760,
        allow_inf_nan=False,
        description="A worker that is so many hours old is replaced; 0: never. Without the edge when it has no call.",
    )
    recycle_spread: float = Field(
        default=0.2,
        ge=0,
        le=0.9,
        allow_inf_nan=False,
        description="Each worker's own limit is lower than recycle_after by a part of it, up to this one, so that "
        "not all are due at once.",
    )
    max_memory_mb: int = Field(
        default=300,
        ge=0,
        le=65536,
        description="A worker that uses more memory (PSS) in two checks in a row is drained and replaced; 0: never.",
    )
    max_cpu_percent: int = Field(
        default=95,
        ge=0,
        le=1600,
        description="A worker that uses more of one core in three checks in a row is drained and replaced; 0: never.",
    )
    check_s: float = Field(
        default=10,
        ge=0.1,
        le=600,
        allow_inf_nan=False,
        description="Seconds between two checks of memory and CPU.",
    )
    user: UserName | None = Field(
        default=None,
        description="User that workers and the local engine run as when the bridge is started by root; it must "
        "exist. Not for a bridge that runs as an unprivileged user itself.",
    )
