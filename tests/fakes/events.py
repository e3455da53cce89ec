"""Calls as their events say them, for everything that folds, stores or draws events."""

from bridge.link.messages import Event


class Script:
    """Builds the events of one boot; `tell` moves the clock and adds one."""

    def __init__(self, call_id="call-1", boot="b1", at=1000.0, mono=50.0):
        self.call_id, self.boot, self.at, self.mono, self.events = call_id, boot, at, mono, []

    def tell(self, type_, after_s=0.0, call_id=None, function=None, **data):
        """`function`: the id of a function call, which its events have as `call_id` in their data."""
        data |= {"call_id": function} if function is not None else {}
        self.at += after_s
        self.mono += after_s
        seq = len(self.events) + 1
        name = self.call_id if call_id is None else call_id
        self.events.append(Event(seq, self.boot, name, type_, self.at, self.mono, data))
        return self


def conversation(**names):
    """A whole call: greeting, a question, an answer that is interrupted, a digit, the goodbye."""
    script = Script(**names)
    script.tell(
        "call.started",
        direction="in",
        **{"from": "sip:alice@host", "to": "sip:100@bridge"},
        from_display="Alice",
        sip_call_id="abc@host",
        route="reception",
        agent="default",
        plan_version="v1",
        worker="worker-0",
        remote="127.0.0.1:5080",
    )
    script.tell("session.connecting", 0.01, provider="local", model="gpt-realtime-2.1")
    script.tell("session.ready", 0.04, session_id="sess_1", ms=40.0)
    script.tell("call.answered", 0.05, codec="PCMU", ptime_ms=20, remote_rtp="127.0.0.1:4000")
    script.tell("agent.started", 0.2, item_id="i1")
    script.tell("transcript", 0.1, who="agent", item_id="i1", text="Hello, how can I help?")
    script.tell("agent.finished", 1.4, item_id="i1", heard_ms=1500, interrupted=False)
    script.tell("speech.started", 0.8, item_id="i2", audio_ms=2400)
    script.tell("speech.stopped", 1.7, item_id="i2", audio_ms=3600)
    script.tell("transcript", 0.1, who="caller", item_id="i2", text="Where is my order?")
    script.tell("agent.started", 0.2, item_id="i3")
    script.tell("speech.started", 1.0, item_id="i4", audio_ms=6000)
    script.tell("barge_in", item_id="i3", heard_ms=1000, dropped_ms=2500, stop_ms=12)
    script.tell("agent.finished", item_id="i3", heard_ms=1000, interrupted=True)
    script.tell("response", response_id="r1", status="completed", latency_ms=300.0, cost_usd=0.01)
    script.tell("speech.stopped", 0.5, item_id="i4", audio_ms=6400)
    script.tell("response", 0.1, response_id="r2", status="cancelled", latency_ms=420.0, cost_usd=0.02)
    script.tell("dtmf", 0.5, digit="5", method="rfc4733", direction="in")
    script.tell("media", 1.0, rx_packets=400, rx_lost=0, rx_jitter_ms=1.0, tx_packets=410, rtt_ms=2.0)
    script.tell("recording", path="/rec/call-1.wav", seconds=8.2, dropped_ms=0)
    script.tell("call.ended", by="caller", status=200, reason="normal", detail="BYE")
    return script.events
