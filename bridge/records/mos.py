"""Estimated listening quality (MOS 1..4.5) of a G.711 call from loss, jitter and delay.

The E-model of ITU-T G.107 with its default values, in the simplified form of Cole and Rosenbluth, "Voice
over IP performance monitoring" (ACM CCR 31/2, 2001): R = 93.2 - Id - Ie_eff. It is an estimate of the
network's part only; it knows nothing of echo, level or the caller's microphone. Pure, any thread.
"""

R_DEFAULT = 93.2
"""R of a call without loss and delay (G.107 default values)."""
BPL_G711_PLC = 25.1
"""Robustness of G.711 with packet loss concealment against random loss (G.113 Appendix I); Ie is 0."""


def loss_percent(received: int, lost: int) -> float:
    """Share of the expected packets that did not arrive, 0..100."""
    expected = received + max(lost, 0)
    return 100.0 * max(lost, 0) / expected if expected > 0 else 0.0


def estimate(*, loss_pct: float, jitter_ms: float, rtt_ms: float) -> float:
    """MOS to two places. One-way delay: half the round trip, 20 ms of packet, twice the jitter."""
    delay_ms = max(rtt_ms, 0.0) / 2 + 20.0 + 2 * max(jitter_ms, 0.0)
    delay_impairment = 0.024 * delay_ms + 0.11 * max(delay_ms - 177.3, 0.0)
    lost = min(max(loss_pct, 0.0), 100.0)
    loss_impairment = 95.0 * lost / (lost + BPL_G711_PLC)
    return round(mos(R_DEFAULT - delay_impairment - loss_impairment), 2)


def mos(rating: float) -> float:
    """MOS of a rating factor R (G.107 Annex B)."""
    bounded = min(max(rating, 0.0), 100.0)
    # Between R 0 and 6.5 the polynomial dips below the scale's own lowest value.
    return max(1.0, 1 + 0.035 * bounded + bounded * (bounded - 60) * (100 - bounded) * 7e-6)
