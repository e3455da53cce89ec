"""Where calls may go: the targets of `transfers`. Not worker-safe (pydantic). Pure."""

from typing import Annotated

from pydantic import Discriminator, Field, Tag

from bridge.dialplan.schema_base import Form, Name, Part, SipTarget, word_or_object


class TrunkTarget(Part):
    """A number, reached over a trunk: by its address, login and caller-id rules."""

    number: Annotated[
        str,
        Form(
            r"^\+?[0-9*#]{1,32}$",
            "this is no number to dial | digits with + in front, no spaces: +4930123456",
        ),
    ] = Field(description="Such as +4930123456, or an extension of a PBX.")
    trunk: Name = Field(description="A trunk of `trunks`.")


Target = Annotated[
    Annotated[SipTarget, Tag("word")] | Annotated[TrunkTarget, Tag("object")], Discriminator(word_or_object)
]
