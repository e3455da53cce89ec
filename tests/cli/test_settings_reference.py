"""The settings reference."""

from pathlib import Path

from bridge.cli.settings_reference import reference
from bridge.settings_model import Settings


def test_the_reference_in_ops_is_current():
    """Generated: python -m bridge.cli.settings_reference > ops/settings.md."""
    assert (Path(__file__).parents[2] / "ops/settings.md").read_text() == reference()


def test_every_key_is_documented():
    text = reference()
    assert all(f"`{name}" in text for name in Settings.model_fields)
    assert "`sip.port` | whole number, 1 to 65535 | `5060` |" in text
    assert "`providers.NAME.kind` | `openai`, `azure`, `compatible`, `local` | needed |" in text
    assert "| None |" not in text
