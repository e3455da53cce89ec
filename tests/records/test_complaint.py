import structlog
from structlog.testing import capture_logs

from bridge.records.complaint import Complaint


def test_a_failure_that_stays_is_told_once_and_its_end_once():
    complaint = Complaint(structlog.get_logger(), "store.refuses", "store.takes_again")
    with capture_logs() as logs:
        for step in ("a", "a", "b", "b", "", "", "a"):
            if step:
                complaint.failed(step)
            else:
                complaint.worked()
    assert [(one["event"], one.get("reason")) for one in logs] == [
        ("store.refuses", "a"),
        ("store.refuses", "b"),
        ("store.takes_again", None),
        ("store.refuses", "a"),
    ]
