"""Reloads of the real bridge under live calls. The whole figure: python -m tests.bench.reload."""

import pytest

from tests.bench import reload

pytestmark = [pytest.mark.system, pytest.mark.timeout(120)]
RELOADS = 20


@pytest.mark.parametrize("more_routes", [0, 1000], ids=["small", "a thousand routes"])
def test_no_call_hears_a_reload_and_nothing_leaks(tmp_path, more_routes):
    job = {
        "calls": 4,
        "reloads": RELOADS,
        "more_routes": more_routes,
        "call_s": 15.0 if more_routes else 11.0,
    }
    seen = reload.live(tmp_path, job, lambda _what: None, workers=2)
    assert seen.wrong == []
    assert (len(seen.took_ms), len(seen.refused_ms)) == (16, 4)
    assert seen.dropped() == 0
    early, late = seen.gaps()
    assert len(late) > 1000
    assert max(late) <= max(60.0, 2 * max(early))  # a machine that is busy otherwise has gaps of its own
    assert seen.after.fds[0] <= seen.before.fds[0] + 2
    assert seen.after.fds[1] <= seen.before.fds[1] + 2
    assert sum(seen.after.rss_kb) < sum(seen.before.rss_kb) + 40_000
