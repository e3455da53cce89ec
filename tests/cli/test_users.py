import pytest
from typer.testing import CliRunner

from bridge.cli.users import app
from bridge.errors import StoreError


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "bridge.yaml"
    path.write_text(f"state_dir: {tmp_path}/var\n")
    (tmp_path / "var").mkdir()
    return lambda *words, **more: CliRunner().invoke(app, [*words, "--config", str(path)], **more)


def test_users_are_added_listed_and_removed(run):
    assert "no users" in run("list").output
    assert "supervisors" in run("add", "anna", "--role", "approver", "--group", "supervisors").output
    assert "anna" in run("list").output
    assert run("remove", "anna").exit_code == 0
    assert isinstance(run("remove", "anna").exception, StoreError)


def test_a_token_is_shown_once_and_can_be_revoked(run):
    run("add", "anna", "--role", "viewer")
    token = run("token", "anna", "--label", "cron", "--days", "1").output.strip()
    listed = run("tokens").output
    assert token.split("_")[1] in listed
    assert token.split("_", 2)[2] not in listed
    assert run("revoke", token.split("_")[1]).exit_code == 0
    assert run("tokens").output == ""
    assert isinstance(run("revoke", "nothing").exception, StoreError)


def test_a_token_has_the_roles_it_was_made_with(run):
    run("add", "anna", "--role", "viewer", "--role", "operator")
    assert run("token", "anna", "--role", "viewer").output.startswith("sbt_")
    assert isinstance(run("token", "anna", "--role", "god").exception, StoreError)


def test_a_lost_phone_is_reset_on_the_machine(run):
    run("add", "anna", "--role", "approver")
    assert "had none" in run("reset-factors", "anna").output
    assert isinstance(run("reset-factors", "nobody").exception, StoreError)


def test_a_password_is_asked_for_twice(run):
    run("add", "anna", "--role", "viewer")
    assert run("password", "anna", input="a long password\na long password\n").exit_code == 0
    assert "set" in run("list").output


def test_a_link_lets_a_user_choose_their_password(run):
    first = run("link").output.strip()
    assert first.startswith("http://127.0.0.1:8080/console/link/")
    run("add", "anna", "--role", "viewer")
    assert "/console/link/" in run("link", "anna", "--hours", "1").output
    assert isinstance(run("link", "nobody").exception, StoreError)
    assert isinstance(run("link").exception, StoreError), "there is somebody now"
