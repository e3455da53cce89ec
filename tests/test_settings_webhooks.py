import pytest
from pydantic import ValidationError

from bridge.settings_webhooks import Webhook


def test_a_webhook_needs_a_url_that_nobody_can_read_and_a_secret():
    hook = Webhook(url="https://a.example/x", secret_env="HOOK")
    assert (hook.events, hook.personal) == ([], False)
    for wrong in (
        {"url": "http://a.example/x", "secret_env": "HOOK"},
        {"url": "https://u:p@a.example/x", "secret_env": "HOOK"},
        {"url": "ftp://a.example/x", "secret_env": "HOOK"},
        {"url": "https://a.example/x"},
        {"url": "https://a.example/x", "secret_env": "HOOK", "events": ["call.sang"]},
    ):
        with pytest.raises(ValidationError):
            Webhook(**wrong)
