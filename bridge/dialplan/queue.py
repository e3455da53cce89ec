"""A queue of a compiled dialplan. Worker-safe: standard library only. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Queue:
    """`members`: names of the plan's transfers. `announce` is a template. `strategy`: in_order or longest_idle."""

    name: str
    members: tuple[str, ...]
    strategy: str
    ring_s: int
    wrap_up_s: int
    retry_s: int
    max_callers: int
    max_wait_s: int
    music: str
    announce: str
    announce_every_s: int
    language: str
