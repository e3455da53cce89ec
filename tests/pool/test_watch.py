import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bridge.pool.watch import cpu_ticks, parent, pss_mb


def test_the_numbers_of_our_own_process_are_found():
    stat = Path("/proc/self/stat").read_text()
    times = os.times()
    assert abs(cpu_ticks(stat) / os.sysconf("SC_CLK_TCK") - times.user - times.system) < 1
    assert parent(stat) == os.getppid()
    assert pss_mb(Path("/proc/self/smaps_rollup").read_text()) > 5


@given(st.text(st.characters(blacklist_characters="\n"), max_size=15))
def test_a_program_may_be_called_anything(name):
    """proc(5): the name stands in brackets and may hold brackets and spaces itself."""
    stat = f"7 ({name}) S 3 7 7 0 -1 4194304 1 0 0 0 11 22 0 0 20 0 1 0 99"
    assert (parent(stat), cpu_ticks(stat)) == (3, 33)


def test_a_process_that_tells_nothing_uses_nothing():
    assert pss_mb("") == 0.0
    assert pss_mb("Rss: 10 kB\nPss:  2048 kB\nPss_Anon: 1 kB\n") == 2.0
