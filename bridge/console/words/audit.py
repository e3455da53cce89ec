"""What the page of the audit says."""

from collections.abc import Mapping

TEXTS: Mapping[str, str] = {
    "nav.audit": "Audit",
    "audit.title": "Audit",
    "audit.chain": "Whether the chain holds",
    "audit.chain.none": "Not looked at yet whether the chain holds: control does that by itself, bit by bit.",
    "audit.chain.empty": "There is no entry yet.",
    "audit.chain.holds": "The chain holds by its hashes: entries 1 to {to:,}, all there are, looked at between {since} "
    "and {at}.",
    "audit.chain.so_far": "The chain holds by its hashes as far as it was looked at: entries 1 to {to:,} of {last:,}, "
    "between {since} and {at}. The rest follows by itself.",
    "audit.chain.looked": "Last looked at {at}.",
    "audit.verify": "The proof, signatures included, is given on the machine and has to count {last:,} entries:",
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
    "audit.part": "JSON lines, each with its number and hash. Only the whole chain is verified: see above.",
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
