import pytest

from bridge.errors import SettingsError
from bridge.settings import load


@pytest.fixture
def retention(tmp_path):
    def read(text):
        path = tmp_path / "bridge.yaml"
        path.write_text(f"retention: {text}\n")
        return load(path, {}).retention

    return read


def test_nothing_is_deleted_unless_somebody_says_so(retention):
    rules = retention("{}").rules()
    assert rules.oldest(1e9) is None
    assert {rules.before(name, 1e9) for name in ("voicemail", "outbound", "speech", "logs")} == {None}


@pytest.mark.parametrize("word", ["off", "false", '"off"', "null"])
def test_off_means_for_ever(retention, word):
    assert retention(f"{{recordings_days: {word}}}").recordings_days is None


def test_days_are_read_and_a_record_takes_all_with_it(retention):
    rules = retention("{recordings_days: 90, calls_days: 30}").rules()
    assert (rules.recordings, rules.calls) == (30, 30)


@pytest.mark.parametrize("wrong", ["0", "-1", "0.5", "true", "on", '"90"', ".inf"])
def test_what_is_no_number_of_days_is_refused_with_its_line(retention, wrong):
    with pytest.raises(SettingsError) as refused:
        retention(f"{{recordings_days: {wrong}}}")
    assert "bridge.yaml:1:" in str(refused.value)
