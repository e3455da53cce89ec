"""A request of the gate as the store gives it back."""

import json

from bridge.approval.gate import Gate
from bridge.approval.request import Ask, CallerFacts, Ruling, ToolRequest
from bridge.store.gaterows import StoredRequest

REFUND = {"amount": 40.0, "currency": "USD", "order": "1234", "urgent": True, "reason": "the boss said so"}


def row(arguments=None, state="pending", caller="+491", **more):
    request = ToolRequest(
        request_id="ab12cd34ef",
        call_id="call1",
        function_call_id="f1",
        tool="refund",
        definition_hash="d",
        arguments=REFUND if arguments is None else arguments,
        risk="money",
        idempotent=True,
        binding="b" * 64,
        policy_version="p",
        requested_at=10.0,
        agent="desk",
        caller=CallerFacts(caller, verified=True, verified_by="pin", verstat="TN-Validation-Passed"),
        called="100",
    )
    ask = Ask("boss", approvers=2, decide_s=90, execute_s=45, escalate_to="chiefs", escalate_s=30)
    gate, _ = Gate.open(request, Ruling("ask", "refunds", "amount <= 500", "", ask), 10.0)
    kept = json.loads(json.dumps({**gate.to_json(), "state": state, **more}))
    return StoredRequest("ab12cd34ef", "call1", "f1", "refund", caller, state, 1, kept, 10.0, 10.0)
