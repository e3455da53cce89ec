"""Whether a call is recorded and how the caller is asked, as a route or an agent says it.

Worker-safe: standard library only. Pure.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class RecordingRule:
    """The rule. `announce`: the text the caller hears, spoken into `PathsConfig.prompt(prompt_id)`; "" for none.

    `consent`: `none`, `announce` (the caller is told), or `ask` (the caller is told and has to press `key`). What
    happens to one who does not: `on_refusal`.
    """

    enabled: bool = True
    announce: str = ""
    language: str = "en"
    prompt_id: str = ""
    consent: Literal["none", "announce", "ask"] = "none"
    key: str = "1"
    wait_s: int = 8
    on_refusal: Literal["no_recording", "hang_up"] = "no_recording"
