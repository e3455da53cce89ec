from bridge.pool.moves import PoolLimits, Stage


def test_what_is_not_configured_is_never_a_reason_to_replace_a_worker():
    limits = PoolLimits()
    assert (limits.recycle_after_calls, limits.recycle_after_s) == (0, 0)
    assert (limits.max_memory_mb, limits.max_cpu_percent) == (0, 0)


def test_stages_have_the_words_that_ops_see():
    assert [stage.value for stage in Stage] == ["free", "starting", "active", "drained", "draining"]
