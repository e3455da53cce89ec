import pytest

from bridge import settings
from bridge.errors import SettingsError


@pytest.fixture
def load(tmp_path):
    def loaded(text):
        (tmp_path / "settings.yaml").write_text(text)
        return settings.load(tmp_path / "settings.yaml", {})

    return loaded


def test_the_last_workers_are_the_wide_ones_and_each_is_told_its_pool(load):
    loaded = load("workers: 3\npool: {wide_workers: 1}")
    assert [settings.pool_of(loaded, slot) for slot in range(3)] == ["narrow", "narrow", "wide"]
    assert [settings.worker_config(loaded, slot).pool for slot in range(3)] == ["narrow", "narrow", "wide"]


def test_a_slot_can_be_told_another_pool_than_it_begins_in(load):
    assert settings.worker_config(load("workers: 2"), 0, pool="wide").pool == "wide"


def test_more_wide_workers_than_workers_are_refused_with_the_line(load):
    with pytest.raises(SettingsError) as told:
        load("workers: 2\npool:\n  wide_workers: 3\n")
    assert [(one.line, one.key, one.message) for one in told.value.problems] == [
        (3, "pool.wide_workers", "more than there are workers (2)")
    ]


def test_without_the_edge_there_are_no_surge_slots(load):
    assert settings.slots(load("workers: 3\npool: {surge: 2}")) == 3


@pytest.mark.parametrize(
    "wrong",
    ["surge: -1", "spares: 99", "recycle_spread: 1", "check_s: 0", "user: 'Root!'", "max_memory_mb: 1.5"],
)
def test_values_out_of_range_are_refused(load, wrong):
    with pytest.raises(SettingsError) as told:
        load(f"pool: {{{wrong}}}")
    assert told.value.problems[0].key == f"pool.{wrong.split(':')[0]}"
