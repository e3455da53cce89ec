"""`sipbridge`: the root of the command line. Each command lives in its own file; this one only joins them.

Sub-commands are imported when they are asked for, so that `sipbridge call` does not wait for the store's packages.
"""

import importlib
import sys
from typing import Any

import typer
from typer.core import TyperGroup

from bridge.errors import BridgeError

COMMANDS = {  # name -> (module, attribute, help); an attribute `app` is a group of commands
    "serve": ("bridge.cli.serve", "serve", "Run the bridge: supervisor, control and workers."),
    "call": ("bridge.cli.call", "call", "Place a SIP call that speaks, listens and records."),
    "sim": ("bridge.cli.sim", "sim", "Run the local engine, a Realtime server without key or network."),
    "dialplan": ("bridge.cli.dialplan", "app", "Check and explain dialplans."),
    "calls": ("bridge.cli.calls", "app", "Look at calls, running and past; hang up, transfer, supervise."),
    "nodes": ("bridge.cli.nodes", "app", "Nodes that share the store: see, drain, forget."),
    "queues": ("bridge.cli.queues", "queues", "Who waits in queues and on parking slots now."),
    "dial": ("bridge.cli.dial", "app", "Have the bridge call somebody."),
    "campaign": ("bridge.cli.campaign", "app", "Have the bridge call everybody in a CSV file."),
    "tools": ("bridge.cli.tools", "app", "Look at the function tools."),
    "policy": ("bridge.cli.policy", "app", "Check, explain and replay the policy for function tools."),
    "audit": ("bridge.cli.audit", "app", "Prove what happened: verify, export, erase."),
    "users": ("bridge.cli.users", "app", "Who may look, decide and administer."),
    "approvals": ("bridge.cli.approvals", "app", "Function calls that wait for a person."),
    "api": ("bridge.cli.api", "app", "The HTTP API: print its OpenAPI description."),
    "workers": ("bridge.cli.workers", "app", "Worker processes: list, restart without losing calls, drain."),
    "voicemail": ("bridge.cli.voicemail", "app", "Messages that callers left."),
    "retention": ("bridge.cli.retention", "app", "What is kept how long: see it, delete it now."),
    "backup": ("bridge.cli.backup", "backup", "Write everything that cannot be made again into one file."),
    "restore": ("bridge.cli.backup", "restore", "Put a backup back, or only look whether it is whole."),
    "version": ("bridge.cli.version", "version", "Which version this is, and of which database."),
    "doctor": ("bridge.cli.doctor", "doctor", "Check the whole installation, and say what to do."),
    "edge": ("bridge.cli.edge", "app", "Look at the edge; ban and forgive addresses."),
    "capacity": ("bridge.cli.capacity", "capacity", "How much machine a number of calls needs."),
    "demo": ("bridge.cli.demo", "demo", "A whole call against the embedded default, start to end."),
}

PLAIN: Any = {"add_completion": False, "pretty_exceptions_enable": False}
"""Of every command: a traceback, should there be one, is for a log and not for a box."""


class LazyGroup(TyperGroup):
    """Loads a sub-command when it is used."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002  # click's signature
        """All names, in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002  # click's signature
        """The command as click wants it, or None."""
        if cmd_name not in COMMANDS:
            return None
        module, attribute, text = COMMANDS[cmd_name]
        target = getattr(importlib.import_module(module), attribute)
        if isinstance(target, typer.Typer):
            command: Any = typer.main.get_command(target)
        else:
            single = typer.Typer(**PLAIN)
            single.command(name=cmd_name)(target)
            command = typer.main.get_command(single)
        command.name = cmd_name
        command.help = command.help or text
        command.short_help = text
        return command


app = typer.Typer(cls=LazyGroup, no_args_is_help=True, help="A telephony voice agent bridge.", **PLAIN)


@app.callback()
def root() -> None:
    """A telephony voice agent bridge: SIP calls in, speech-to-speech Realtime sessions out."""


def run() -> int:
    """Entry point of the `sipbridge` command. What the system or the files refuse ends with a sentence and status 1."""
    try:
        app()
    except BridgeError as error:
        sentence = str(error)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sentence = f"{where}{error.strerror or error}"
    else:
        return 0
    print(sentence, file=sys.stderr)  # noqa: T201  # the command line speaks to a person
    return 1
