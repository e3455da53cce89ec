"""The settings of what the tools are made of: MCP servers, and who is told that something waits.

Not worker-safe (pydantic). Pure.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from bridge.approval.request import Risk
from bridge.settings_base import EnvName, FilePath, HttpUrl, Name, Seconds, Section

McpToolName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")]
Word = Annotated[str, Field(min_length=1, max_length=1000, pattern=r"^[^\r\n\x00]+$")]
Group = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]


class McpOAuth(Section):
    """OAuth client credentials (RFC 6749 section 4.4) for an MCP server."""

    client_id: Word = Field(description="Of the client that the authorization server knows.")
    client_secret_env: EnvName = Field(description="Environment variable that holds its secret.")
    issuer: HttpUrl = Field(description="The authorization server: tokens are asked for nowhere else.")
    scope: Word | None = Field(default=None, description="Scopes, separated by spaces.")


class McpServer(Section):
    """An MCP server whose tools agents can name. Its definitions count only once an admin has accepted them."""

    command: list[Word] | None = Field(
        default=None, min_length=1, max_length=64, description="stdio: program and arguments."
    )
    folder: FilePath | None = Field(default=None, description="stdio: its working folder.")
    env: dict[EnvName, EnvName] = Field(
        default_factory=dict,
        max_length=64,
        description="stdio: variables it gets: its name to ours. It gets no others but PATH, HOME and the like.",
    )
    url: HttpUrl | None = Field(default=None, description="Streamable HTTP: address of the server.")
    token_env: EnvName | None = Field(
        default=None, description="Streamable HTTP: environment variable that holds the bearer token."
    )
    oauth: McpOAuth | None = Field(default=None, description="Streamable HTTP: OAuth instead of a token.")
    run_by: Literal["bridge", "provider"] = Field(
        default="bridge",
        description="Who calls the tools: the bridge, or the Realtime provider (its server-side MCP; the url must be "
        "public and needs no secret). Either way each call goes through the gate.",
    )
    tools: list[McpToolName] = Field(
        default_factory=list, max_length=500, description="Only these of its tools; all when left out."
    )
    risk: dict[McpToolName, Risk] = Field(
        default_factory=dict,
        description="Risk by tool (read, write, money, irreversible); write when left out. What the server says about "
        "it is not trusted.",
    )
    idempotent: list[McpToolName] = Field(
        default_factory=list, description="Tools that may be tried again when an answer was lost."
    )
    timeout_s: Seconds = Field(default=15, description="Longest call.")
    max_result_bytes: int = Field(default=8000, ge=200, le=200_000, description="A longer result is cut.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.command is None) == (self.url is None):
            raise ValueError("one of command (stdio) and url (streamable HTTP) is needed | give exactly one")
        secrets = self.token_env is not None or self.oauth is not None
        if self.command is not None and secrets:
            raise ValueError("token_env and oauth are for a url | pass a secret on by env")
        if self.url is not None and (self.env or self.folder):
            raise ValueError("env and folder are for a command | remove them")
        if self.token_env is not None and self.oauth is not None:
            raise ValueError("token_env and oauth exclude each other | give one")
        if self.run_by == "provider" and (self.url is None or secrets):
            raise ValueError(
                "a server run by the provider needs a url and no secret: ours do not leave control | run_by: bridge"
            )
        return self


class Channel(Section):
    """One way to tell people: an apprise URL (mail, chat, SMS, …) or a signed webhook."""

    apprise_env: EnvName | None = Field(
        default=None,
        description="Environment variable that holds an apprise URL, such as mailto://… or slack://…",
    )
    webhook: HttpUrl | None = Field(
        default=None, description="POSTed to, signed by https://www.standardwebhooks.com with secret_env."
    )
    secret_env: EnvName | None = Field(
        default=None, description="webhook: environment variable that holds its secret (whsec_… or base64)."
    )
    groups: list[Group] = Field(
        default_factory=list,
        max_length=64,
        description="Only for requests to these groups; all when left out.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.apprise_env is None) == (self.webhook is None):
            raise ValueError("one of apprise_env and webhook is needed | give exactly one")
        if (self.webhook is None) != (self.secret_env is None):
            raise ValueError(
                "webhook and secret_env belong together | an unsigned webhook could be anybody's"
            )
        return self


class AuditHeads(Section):
    """Where the newest entry of the audit chain is kept as well, so that cutting it off shows."""

    heads: FilePath | None = Field(
        default=None,
        description="File they are appended to, best on another machine; state_dir/audit-heads.jsonl "
        "when left out.",
    )
    webhook: HttpUrl | None = Field(
        default=None, description="Told each head too, signed like notifications."
    )
    secret_env: EnvName | None = Field(
        default=None, description="Environment variable that holds the webhook's secret."
    )

    @model_validator(mode="after")
    def _signed(self) -> Self:
        if (self.webhook is None) != (self.secret_env is None):
            raise ValueError("webhook and secret_env belong together | give both or none")
        return self


class Notify(Section):
    """Who is told, and what."""

    channels: dict[Name, Channel] = Field(default_factory=dict, max_length=32, description="By name.")
    link: Annotated[str, Field(pattern=r"^https?://[^\s]+$", max_length=500)] | None = Field(
        default=None, description="Deep link into the console; {request_id} is filled in."
    )
    remind_s: Seconds = Field(
        default=30, description="Told again, while nobody has decided, after this long."
    )
    reminders: int = Field(default=2, ge=0, le=20, description="How often.")
    arguments: bool = Field(
        default=False,
        description="Whether a message holds the call's arguments and the caller's number. Without it: which tool, "
        "which rule, and the link.",
    )
