"""What the sections for tools refuse, with the words a person can mend it by."""

import pytest

from bridge.errors import SettingsError
from bridge.settings import load, missing_secrets

BAD = [
    ("mcp: {a: {}}", "one of command (stdio) and url"),
    ("mcp: {a: {command: [x], url: 'https://h/'}}", "one of command (stdio) and url"),
    ("mcp: {a: {command: [x], token_env: T}}", "are for a url"),
    ("mcp: {a: {url: 'https://h/', env: {A: B}}}", "are for a command"),
    ("mcp: {a: {url: 'http://example.com/mcp'}}", "use https://"),
    ("mcp: {a: {url: 'https://me:pw@h/mcp'}}", "must not hold a name or password"),
    ("mcp: {a: {url: 'ftp://h/mcp'}}", "http:// or https:// URL"),
    ("mcp: {a: {url: 'https://h/', run_by: provider, token_env: T}}", "no secret"),
    ("mcp: {a: {command: [x], run_by: provider}}", "needs a url"),
    ("mcp: {a: {command: [x], risk: {t: low}}}", "is not allowed here"),
    ("mcp: {A B: {command: [x]}}", "A B"),
    ("notify: {channels: {a: {}}}", "one of apprise_env and webhook"),
    ("notify: {channels: {a: {webhook: 'https://h/'}}}", "belong together"),
    ("notify: {channels: {a: {apprise_env: 'mailto://u:p@h'}}}", "environment variable"),
    ("audit: {webhook: 'https://h/'}", "belong together"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_a_mistake_is_named_in_words_that_help(tmp_path, text, words):
    path = tmp_path / "bridge.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as caught:
        load(path, {})
    assert words in str(caught.value)
    assert "bridge.yaml:1" in str(caught.value)


def test_secrets_that_are_not_set_are_named(tmp_path):
    path = tmp_path / "bridge.yaml"
    path.write_text("""
mcp:
  a: {url: 'https://h/', token_env: TOKEN_A}
  b: {url: 'https://h/', oauth: {client_id: c, client_secret_env: SECRET_B, issuer: 'https://i/'}}
  c: {command: [x], env: {KEY: KEY_C}}
notify: {channels: {m: {apprise_env: MAIL}, w: {webhook: 'https://h/', secret_env: HOOK}}}
audit: {webhook: 'https://h/', secret_env: HEADS}
""")
    wanted = {"TOKEN_A", "SECRET_B", "KEY_C", "MAIL", "HOOK", "HEADS"}
    found = {
        name for problem in missing_secrets(load(path, {}), {}) for name in wanted if name in str(problem)
    }
    assert found == wanted
    assert missing_secrets(load(path, {}), dict.fromkeys(wanted, "x")) == []
