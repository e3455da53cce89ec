import json

import pytest

from bridge.cli import campaign
from tests.cli.test_dial import NUMBER, folder, run

__all__ = ["folder"]


def written(folder, text):
    (folder / "people.csv").write_text(text)
    return str(folder / "people.csv")


def test_a_file_with_a_bad_line_is_told_line_by_line_and_not_loaded(folder):
    file = written(folder, f"number,name\n{NUMBER},Ann\n+49900123456,Bob\n030 12345678,Ann again\n")
    status, output, _ = run(folder, campaign.app, "load", file, "--name", "clinic")
    assert status == 1
    assert f"{file}:3: +49900123456: +49900 is never dialled: premium rate" in output
    assert f"{file}:4: {NUMBER} is in line 2 already" in output
    assert "nothing is loaded: 2 bad, 1 good lines" in output
    assert run(folder, campaign.app, "list")[1] == "no campaigns\n"


def test_a_campaign_is_loaded_shown_paused_resumed_and_cancelled(folder):
    file = written(folder, f"number,name\n{NUMBER},Ann\nx,y\n")
    status, output, _ = run(folder, campaign.app, "load", file, "--name", "clinic", "--skip-bad")
    assert (status, "clinic: 1 calls, 1 lines left out" in output) == (0, True)
    (job,) = json.loads(run(folder, campaign.app, "show", "clinic", "--json")[1])
    assert (job["campaign"], job["via"], job["variables"]) == ("clinic", "campaign", {"name": "Ann"})
    assert "1 asked" in run(folder, campaign.app, "show", "clinic")[1]
    for command, state in (("pause", "paused"), ("resume", "running"), ("cancel", "cancelled")):
        assert run(folder, campaign.app, command, "clinic")[:2] == (0, f"clinic: {state}\n")
    assert "there is no campaign clinic that is paused" in str(
        run(folder, campaign.app, "resume", "clinic")[2]
    )
    assert "there is a campaign clinic already" in str(
        run(folder, campaign.app, "load", file, "--name", "clinic", "--skip-bad")[2]
    )


def test_a_campaign_that_is_not_there_is_told(folder):
    assert "there is no campaign x" in str(run(folder, campaign.app, "show", "x")[2])


@pytest.mark.parametrize("name", ["a b", "ä", "x" * 65, ""])
def test_a_name_that_is_none_is_refused(folder, name):
    assert run(folder, campaign.app, "load", "x.csv", "--name", name)[0] == 2
