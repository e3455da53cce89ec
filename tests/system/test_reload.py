"""Reloads of the real bridge under live calls. The whole figure: python -m tests.bench.reload."""

import tempfile
from pathlib import Path

import pytest

from bridge.dialplan.plan import AgentStep, HangUpStep, RejectStep
from tests.bench import reload
from tests.fakes.link import until
from tests.fakes.rawphone import raw_phone
from tests.fakes.worker_process import plan_of, running_worker

pytestmark = pytest.mark.system
RELOADS = 20


@pytest.mark.parametrize("more_routes", [0, 1000], ids=["small", "a thousand routes"])
def test_no_call_hears_a_reload_and_nothing_leaks(tmp_path, more_routes):
    job = {"calls": 4, "reloads": RELOADS, "more_routes": more_routes, "call_s": 60.0}
    folder = Path(tempfile.mkdtemp(dir=tmp_path.parent))  # sockets want short paths
    seen = reload.live(folder, job, lambda _what: None, workers=2)
    assert seen.wrong == []
    assert (len(seen.took_ms), len(seen.refused_ms)) == (16, 4)
    assert seen.dropped() == 0
    _, late = seen.gaps()
    assert len(late) > 200
    # A reload that stops the sound does so every time; once is what a busy machine does by itself.
    assert sum(gap > 60 for gap in late) <= job["calls"], sorted(late)[-20:]
    assert seen.after.fds[0] <= seen.before.fds[0] + 2
    assert seen.after.fds[1] <= seen.before.fds[1] + 2
    assert sum(seen.after.rss_kb) < sum(seen.before.rss_kb) + 40_000


async def test_a_live_call_keeps_its_plan_and_the_next_one_has_the_new(tmp_path):
    first = plan_of(AgentStep("front", (HangUpStep(503, "as it was"),)))
    second = plan_of(RejectStep(480, "new"))
    async with running_worker(tmp_path, first) as worker, raw_phone(worker.port) as phone:
        await phone.invite()
        await phone.heard(10)
        worker.link.push_plan(second.to_json())
        await until(lambda: worker.link.peers()[0].status.get("plan_version") == second.version)
        async with raw_phone(worker.port) as other:
            assert (await other.invite()).status == 480
        await phone.heard(15)
        assert (await phone.bye()).status == 200
        await worker.ended(2)
        versions = [started["plan_version"] for started in worker.of("call.started")]
        assert versions == [first.version, second.version]
