"""What the page of the audit says."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "nav.audit": "Audit",
    "audit.title": "Audit",
    "audit.chain": "Whether the chain holds",
    "audit.chain.none": "Nobody has looked yet whether the chain holds: control does, a few hundred entries at a time.",
    "audit.chain.empty": "There is no entry yet.",
    "audit.chain.holds": "The chain holds: entries 1 to {to:,}, all there are, follow one another and are as they "
    "were written. Looked at between {since} and {at}.",
    "audit.chain.so_far": "The chain holds as far as it was looked at: entries 1 to {to:,} of {last:,}, between "
    "{since} and {at}. The rest follows by itself.",
    "audit.chain.looked": "Last looked at {at}.",
    "audit.verify": "Signatures, and what was cut off, are proved on the machine, of {last:,} entries now or more:",
    "audit.command": "sipbridge audit verify",
    "audit.field.by": "Who",
    "audit.field.type": "What",
    "audit.field.call": "Call's id",
    "audit.field.since": "From",
    "audit.field.until": "Until",
    "audit.field.before": "Page",
    "audit.kinds.requests": "Requests of functions",
    "audit.kinds.calls": "Calls and recordings",
    "audit.kinds.people": "People and what they get in by",
    "audit.kinds.audit": "The audit and the store",
    "audit.kinds.other": "Other",
    "audit.export": "Download these",
    "audit.part": "A part of the chain cannot be verified alone: each line has its number and hash in it.",
    "audit.when": "When",
    "audit.who": "Who",
    "audit.what": "What",
    "audit.call": "Call",
    "audit.request": "Function",
    "audit.raw": "Entry {seq}",
    "audit.none": "No entry fits.",
    "audit.none_so_far": "No entry fits so far: looked back to entry {seq}.",
    "audit.cut": "Looked back to entry {seq}; there may be more.",
}
