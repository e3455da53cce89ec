"""What dies, and what that does: one function a fault, against a running installation (tests/fakes/machines.py).

    load: calls that talk ──► the fault ──► a new call every half second, (the repair) ──► all hang up ──► records

Each gives an `Effect`: what the callers had of it, how long until new calls were taken, what the store says. `wrong`
names what should not have happened; the tests and the bench (python -m tests.bench.failures) only look there.
"""

import asyncio
import contextlib
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from bridge.pool.client import ask
from tests.fakes.machines import Installation, Machine

PROBE_EVERY_S = 0.5
WATCH_S = 6.0
AGAIN_S = 5.0
"""New calls are accepted again within this."""
SETTLE_S = 1.0
SILENCE_S = 0.3
SETTINGS = {"node": {"pool": {"surge": 1}}}
"""What the installation needs beside the usual: room for the replacement of a worker that still has calls."""


@dataclass
class Effect:
    """Of one fault. Seconds from the fault on; None: it did not happen (while we looked)."""

    name: str
    calls: int = 0
    dropped: int = 0
    told_s: float | None = None
    """After this the last dropped caller had been hung up on; None: nobody was, they heard silence."""
    silence_s: float = 0.0
    """Longest silence of a call that went on."""
    probes: int = 0
    refused: int = 0
    again_s: float | None = None
    """From here on every new call was accepted."""
    whole_s: float | None = None
    """As many places as before."""
    foreign: int = 0
    notes: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def expect(self, fine: bool, otherwise: str) -> None:
        if not fine:
            self.wrong.append(otherwise)

    def said(self) -> str:
        """In one line."""
        verdict = f"WRONG: {'; '.join(self.wrong)}" if self.wrong else "as stated"
        return f"{verdict}; {self.dropped} of {self.calls} lost; {'; '.join(self.notes)}"

    def row(self) -> dict[str, object]:
        """For a table."""
        return {
            "fault": self.name,
            "calls": self.calls,
            "dropped": self.dropped,
            "told s": _said(self.told_s),
            "silence s": _said(self.silence_s),
            "new calls": f"{self.probes - self.refused} of {self.probes}",
            "again s": _said(self.again_s),
            "whole s": _said(self.whole_s),
            "right": "no: " + "; ".join(self.wrong) if self.wrong else "yes",
        }


def _said(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.1f}"


async def strike(
    site: Installation,
    name: str,
    fault: Callable[[], object],
    *,
    calls: int,
    may_drop: int,
    repair: Callable[[], object] | None = None,
    repair_after_s: float = 3.0,
    watch_s: float = WATCH_S,
    records_s: float = 30.0,
    told_within_s: float | None = None,
) -> Effect:
    """Under `calls` calls: the fault, what comes of it, the repair. At most `may_drop` calls may be lost."""
    fleet, effect = site.fleet, Effect(name)
    load = await fleet.calls_of(calls)
    effect.calls = len(load)
    effect.expect(len(load) == calls, f"only {len(load)} of {calls} calls came up before it")
    await asyncio.sleep(SETTLE_S)
    at = fleet.now()
    await asyncio.to_thread(fault)
    struck_at = fleet.now()
    probing = asyncio.create_task(_probe(site, watch_s))
    if repair is not None:
        await asyncio.sleep(repair_after_s)
        await asyncio.to_thread(repair)
    probes = await probing
    _judge_probes(effect, probes, at)
    stayed = _judge_load(effect, load, at, struck_at)
    effect.expect(effect.dropped <= may_drop, f"{effect.dropped} calls lost, at most {may_drop} may be")
    if told_within_s is not None and effect.dropped:
        effect.expect((effect.told_s or 1e9) <= told_within_s, f"lost callers hung up on: {effect.told_s} s")
    await fleet.hang_up(stayed)
    for call in load:
        fleet.free(call)
    await _whole(site, effect, at)
    await _judge_records(site, effect, [*load, *(call for call in probes if call.answered_at)], records_s)
    return effect


async def _probe(site: Installation, seconds: float) -> list:
    """A new call every half second; each hangs up soon."""
    fleet, tasks = site.fleet, []

    async def one():
        call = await fleet.call("100", give_up_s=AGAIN_S)
        if call.up:
            await asyncio.sleep(0.3)
            await call.hang_up()
            fleet.free(call)
        return call

    until = fleet.now() + seconds
    while fleet.now() < until:
        tasks.append(asyncio.create_task(one()))
        await asyncio.sleep(PROBE_EVERY_S)
    return list(await asyncio.gather(*tasks))


def _judge_probes(effect: Effect, probes: list, at: float) -> None:
    effect.probes = len(probes)
    effect.refused = sum(call.answered_at is None for call in probes)
    for call in reversed(probes):
        if call.answered_at is None:
            break
        effect.again_s = max(call.answered_at - at, 0.0)
    late = [call for call in probes if call.began_at - at > AGAIN_S and call.answered_at is None]
    effect.expect(not late, f"{len(late)} calls placed more than {AGAIN_S:g} s after it were not taken")
    effect.expect(effect.again_s is not None, "no call was taken again")
    for status in sorted({call.status for call in probes if call.answered_at is None}):
        effect.notes.append(f"{sum(call.status == status for call in probes)} new calls got {status}")


def _judge_load(effect: Effect, load: list, at: float, struck_at: float) -> list:
    """The calls that went on. One is lost when it was hung up on, or its voice does not come back any more."""
    fleet = load[0].fleet
    stayed, now = [], fleet.now()
    told = []
    for call in load:
        effect.foreign += call.foreign
        lost = call.ended_at is not None or not call.heard or now - call.heard[-1] > 1.0
        if not lost:
            stayed.append(call)
            silences = [seconds for _, seconds in call.silences(at - 0.1, SILENCE_S)]
            effect.silence_s = max(effect.silence_s, *silences, 0.0)
            continue
        effect.dropped += 1
        if call.ended_at is not None:
            told.append(call.ended_at - struck_at)
        else:
            stayed.append(call)  # it is still to be hung up
    effect.told_s = max(told) if told and len(told) == effect.dropped else None
    if len(told) < effect.dropped:
        effect.notes.append(f"{effect.dropped - len(told)} lost callers heard silence until they hung up")
    effect.expect(effect.foreign == 0, f"{effect.foreign} packets of somebody else's voice")
    return stayed


async def _whole(site: Installation, effect: Effect, at: float) -> None:
    try:
        await site.until_ready(30.0)
    except AssertionError as error:
        effect.expect(fine=False, otherwise=f"half a minute later: {error}")
    else:
        effect.whole_s = site.fleet.now() - at


async def _judge_records(site: Installation, effect: Effect, calls: list, within_s: float) -> None:
    """Every answered call has exactly one record, and it has ended."""
    until = time.monotonic() + within_s
    bad: dict[str, object] = {}
    while time.monotonic() < until:
        found = await asyncio.to_thread(site.records, calls)
        bad = {
            who: [(row["ended_by"], row["end_reason"]) for row in rows]
            for who, rows in found.items()
            if len([row for row in rows if row["ended_at"]]) != 1 or len(rows) != 1
        }
        if not bad:
            break
        await asyncio.sleep(0.5)
    effect.expect(not bad, f"calls without exactly one record: {json.dumps(bad)[:300]}")
    rows = [row for rows in (await asyncio.to_thread(site.records, calls)).values() for row in rows]
    reasons = sorted(
        {f"{row['ended_by']}: {row['end_reason']}" for row in rows if row["ended_by"] != "caller"}
    )
    if reasons:
        effect.notes.append("records say " + ", ".join(reasons))


# ---- the faults -----------------------------------------------------------------------------------------------


async def worker_killed(site: Installation, calls: int) -> Effect:
    """kill -9 of a worker: its calls are lost, no other."""
    node = site.nodes[0]
    return await strike(
        site, "worker", lambda: node.kill("worker"), calls=calls, may_drop=4, told_within_s=5.0
    )


async def control_killed(site: Installation, calls: int) -> Effect:
    """kill -9 of a node's control: nobody notices."""
    node = site.nodes[0]
    return await strike(site, "control of a node", lambda: node.kill("control"), calls=calls, may_drop=0)


async def edge_control_killed(site: Installation, calls: int) -> Effect:
    """kill -9 of the edge's control: Kamailio goes on."""
    return await strike(
        site, "control of the edge", lambda: site.edge.kill("control"), calls=calls, may_drop=0
    )


async def node_killed(site: Installation, calls: int) -> Effect:
    """All processes of a node at once; it is started again later."""
    node = site.nodes[0]
    return await strike(
        site,
        "node",
        node.kill_all,
        calls=calls,
        may_drop=4 * site.workers,
        repair=node.start,
        repair_after_s=15.0,
        watch_s=18.0,
        told_within_s=15.0,
    )


async def network_cut(site: Installation, calls: int) -> Effect:
    """A node's cable is out for two seconds."""
    return await strike(
        site,
        "network of a node, 2 s",
        lambda: site.network.cut(site.nodes[0].name),
        calls=calls,
        may_drop=0,
        repair=lambda: site.network.mend(site.nodes[0].name),
        repair_after_s=2.0,
    )


async def network_cut_long(site: Installation, calls: int) -> Effect:
    """A node's cable is out for longer than it takes to count as lost."""
    return await strike(
        site,
        "network of a node, 20 s",
        lambda: site.network.cut(site.nodes[0].name),
        calls=calls,
        may_drop=4 * site.workers,
        repair=lambda: site.network.mend(site.nodes[0].name),
        repair_after_s=20.0,
        watch_s=28.0,
        records_s=60.0,
    )


async def kamailio_killed(site: Installation, calls: int) -> Effect:
    """kill -9 of Kamailio: calls go on, new ones wait for a moment."""
    return await strike(site, "Kamailio", lambda: site.edge.kill("kamailio"), calls=calls, may_drop=0)


async def rtpengine_killed(site: Installation, calls: int) -> Effect:
    """kill -9 of rtpengine: the audio of all calls is gone, new calls have it."""
    return await strike(site, "rtpengine", lambda: site.edge.kill("rtpengine"), calls=calls, may_drop=calls)


async def database_killed(site: Installation, calls: int) -> Effect:
    """PostgreSQL is gone for four seconds: calls go on, records come later."""
    return await strike(
        site,
        "PostgreSQL, 4 s",
        site.database.kill,
        calls=calls,
        may_drop=0,
        repair=site.start_database,
        repair_after_s=4.0,
        records_s=60.0,
    )


async def one_too_many(site: Installation) -> Effect:
    """All places are taken: the next call is told so at once."""
    effect = Effect("the call after the last")
    fleet = site.fleet
    load = await fleet.calls_of(site.calls)
    effect.calls = len(load)
    effect.expect(len(load) == site.calls, f"only {len(load)} of {site.calls} calls came up")
    took = []
    for _ in range(5):
        call = await fleet.call()
        effect.probes += 1
        effect.refused += call.status == 503
        took.append(call.ended_at - call.began_at if call.status == 503 else 9.9)
    effect.expect(effect.refused == 5, f"{effect.refused} of 5 calls too many got 503")
    effect.expect(max(took) < 0.1, f"503 took {max(took) * 1000:.0f} ms")
    effect.notes.append(f"503 within {max(took) * 1000:.1f} ms")
    await asyncio.sleep(0.5)
    effect.foreign = sum(call.foreign for call in load)
    effect.expect(all(call.up and call.heard for call in load), "a call was disturbed")
    await fleet.hang_up(load)
    await _judge_records(site, effect, load, 30.0)
    return effect


# ---- approvals --------------------------------------------------------------------------------------------------


async def _pending(site: Installation, count: int) -> list:
    until = time.monotonic() + 15
    while len(rows := await asyncio.to_thread(site.requests, "pending")) < count:
        if time.monotonic() > until:
            raise AssertionError(f"{len(rows)} of {count} approvals are waited for")
        await asyncio.sleep(0.1)
    return rows


async def decided_elsewhere(site: Installation) -> Effect:
    """One caller on each node waits for an approval; each is given on the other node."""
    effect = Effect("approval given on another node")
    fleet = site.fleet
    load = await fleet.calls_of(4, "200")
    effect.calls = len(load)
    rows = await _pending(site, 4)
    before = len(site.done)
    began = time.monotonic()
    for index, row in enumerate(rows):
        node = site.nodes[index % len(site.nodes)]
        status, said = await node.cli("approvals", "approve", row["request_id"], "--reason", "fine")
        effect.expect(status == 0, f"approve on {node.name}: {said[-200:]}")
    until = time.monotonic() + 10
    while len(site.done) < before + 4 and time.monotonic() < until:  # noqa: ASYNC110  # a file of another process
        await asyncio.sleep(0.05)
    effect.notes.append(f"4 approvals, two commands each, {time.monotonic() - began:.1f} s")
    effect.expect(sorted(site.done[before:]) == sorted(c.caller for c in load), f"done: {site.done[before:]}")
    await fleet.hang_up(load)
    await _judge_records(site, effect, load, 30.0)
    return effect


async def approval_of_a_dead_node(site: Installation) -> Effect:
    """Callers wait for approvals; a node dies: theirs are cancelled, the others' can be given."""
    effect = Effect("approvals pending, node dies")
    fleet, node = site.fleet, site.nodes[0]
    load = await fleet.calls_of(4, "200")
    effect.calls = len(load)
    await _pending(site, 4)
    before = len(site.done)
    at = fleet.now()
    await asyncio.to_thread(node.kill_all)
    gone = {call.caller for call in load if call.ended_at}
    until = time.monotonic() + 30
    while time.monotonic() < until:
        states = {row["request_id"]: row["state"] for row in await asyncio.to_thread(site.requests)}
        rows = await asyncio.to_thread(site.requests, "pending")
        if len(rows) < 4:
            break
        await asyncio.sleep(0.2)
    effect.notes.append(f"{4 - len(rows)} cancelled after {fleet.now() - at:.1f} s")
    other = site.nodes[-1]
    for row in rows:
        status, said = await other.cli("approvals", "approve", row["request_id"], "--reason", "fine")
        effect.expect(status == 0, f"approve: {said[-200:]}")
    await asyncio.sleep(1.0)
    mine = {call.caller for call in load}
    states = {
        row["gate"]["request"]["caller"]["number"]: row["state"]
        for row in await asyncio.to_thread(site.requests)
    }
    ended = sorted(state for who, state in states.items() if who in mine)
    effect.expect(set(ended) <= {"cancelled", "succeeded"} and "cancelled" in ended, f"states: {ended}")
    done = sorted(site.done[before:])
    effect.expect(
        done == sorted(who for who in mine if states.get(who) == "succeeded"), f"done: {done}, {states}"
    )
    effect.notes.append(f"states {ended}, {len(done)} executed, once each")
    await asyncio.to_thread(node.start)
    stayed = [call for call in load if call.up]
    effect.dropped = len(load) - len(done)
    await fleet.hang_up(stayed)
    await _whole(site, effect, at)
    await _judge_records(site, effect, load, 30.0)
    del gone
    return effect


# ---- rolling ----------------------------------------------------------------------------------------------------


async def under_calls(
    site: Installation, calls: int, work: Callable[[], Awaitable[object]], effect: Effect
) -> list:
    """Keep `calls` calls up, each for a few seconds, while `work` runs; all the calls there were."""
    fleet, made, stop = site.fleet, [], asyncio.Event()

    async def caller(index: int) -> None:
        await asyncio.sleep(index * 0.05)
        turn = index
        while not stop.is_set():
            call = await fleet.call("100")
            made.append(call)
            turn += 1
            if call.up:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(3.0 + turn % 5):
                        await call.over.wait()
                await call.hang_up()
                fleet.free(call)
            else:
                await asyncio.sleep(0.3)

    tasks = [asyncio.create_task(caller(index)) for index in range(calls)]
    await asyncio.sleep(calls * 0.05 + SETTLE_S)
    try:
        await work()
    finally:
        stop.set()
        await asyncio.gather(*tasks)
    answered = [call for call in made if call.answered_at]
    cut = [call for call in answered if call.ended_by != "caller"]
    mute = [call for call in answered if call.ended_at - call.answered_at > 1 and len(call.heard) < 25]
    effect.calls, effect.probes, effect.refused = calls, len(made), len(made) - len(answered)
    effect.dropped = len(cut)
    effect.silence_s = max(
        (seconds for call in answered for _, seconds in call.silences(call.answered_at + 0.5, SILENCE_S)),
        default=0.0,
    )
    effect.foreign = sum(call.foreign for call in answered)
    effect.expect(not cut, f"{len(cut)} calls were cut off")
    effect.expect(not mute, f"{len(mute)} calls were silent")
    effect.expect(effect.foreign == 0, f"{effect.foreign} packets of somebody else's voice")
    await _judge_records(site, effect, answered, 30.0)
    return made


async def node_drained(site: Installation, calls: int) -> Effect:
    """A node takes no new calls any more (`sipbridge nodes drain`): its calls go on, new ones go elsewhere."""
    effect, node = Effect("drain of a node"), site.nodes[0]

    async def work() -> None:
        status, said = await site.nodes[-1].cli("nodes", "drain", node.name)
        effect.expect(status == 0, f"nodes drain: {said[-200:]}")
        at = time.monotonic()
        for _ in range(60):
            if len([one for one in await site.entries() if one.flags.startswith("A")]) == site.workers:
                effect.notes.append(f"no new calls after {time.monotonic() - at:.1f} s")
                break
            await asyncio.sleep(0.25)
        else:
            effect.expect(fine=False, otherwise="it still gets new calls after 15 s")
        await asyncio.sleep(8.0)
        status, said = await site.nodes[-1].cli("nodes", "undrain", node.name)
        effect.expect(status == 0, f"nodes undrain: {said[-200:]}")

    await under_calls(site, min(calls, site.calls // 2 - 1), work, effect)
    effect.expect(effect.refused == 0, f"{effect.refused} calls were not taken")
    await _whole(site, effect, site.fleet.now())
    return effect


async def rolling_restart(site: Installation, calls: int) -> Effect:
    """Every worker of every node is replaced by a new one, one after the other, while calls come and go."""
    effect = Effect("rolling restart of all workers")
    before = {pid for node in site.nodes for pid in node.kinds.get("worker", [])}
    lives = [await asyncio.to_thread(_lives, node) for node in site.nodes]

    async def work() -> None:
        began = time.monotonic()
        for node in site.nodes:
            status, said = await node.cli("workers", "restart", "--all", "--no-wait")
            effect.expect(status == 0, f"workers restart: {said[-300:]}")
        for _ in range(480):
            now = [await asyncio.to_thread(_lives, node) for node in site.nodes]
            if all(
                not set(old) & set(new) and len(new) >= site.workers
                for old, new in zip(lives, now, strict=True)
            ):
                effect.notes.append(
                    f"{sum(map(len, lives))} workers replaced in {time.monotonic() - began:.0f} s"
                )
                return
            await asyncio.sleep(0.25)
        told = [ask(node.state, {"do": "status"}).get("rolling") for node in site.nodes]
        effect.expect(
            fine=False, otherwise=f"not all workers were replaced within 120 s: {told}, {lives} → {now}"
        )

    await under_calls(site, calls, work, effect)
    after = {pid for node in site.nodes for pid in node.kinds.get("worker", [])}
    effect.notes.append(f"{effect.probes} calls in all, {len(before & after)} processes are the same")
    effect.expect(effect.refused == 0, f"{effect.refused} calls were not taken")
    await _whole(site, effect, site.fleet.now())
    return effect


def _lives(node: Machine) -> list[int]:
    """Process numbers of the workers that take calls or still have some."""
    told = ask(node.state, {"do": "status"})
    return [
        worker["pid"] for worker in told["workers"] if worker["state"] in {"active", "draining", "drained"}
    ]


async def database_killed_long(site: Installation, calls: int) -> Effect:
    """PostgreSQL is gone for longer than it takes a node to count as lost."""
    return await strike(
        site,
        "PostgreSQL, 20 s",
        site.database.kill,
        calls=calls,
        may_drop=0,
        repair=site.start_database,
        repair_after_s=20.0,
        watch_s=26.0,
        records_s=60.0,
    )
