import pytest

from bridge import errors
from bridge.errors import BridgeError, FailureKind, FileProblems, Problem, RemoteSessionError, SipError


def every(kind=BridgeError):
    return {kind} | {found for child in kind.__subclasses__() for found in every(child)}


def test_a_problem_says_where_it_is_and_what_to_do():
    problem = Problem("a.yaml", 3, 7, "sip.port", "must be a number", "write 5060")
    assert str(problem) == "a.yaml:3:7: sip.port: must be a number (write 5060)"
    assert str(Problem("a.yaml", 0, 0, "", "is empty")) == "a.yaml: is empty"


def test_all_problems_of_a_file_are_told_at_once():
    problems = [Problem("a", 1, 1, "", "x"), Problem("a", 2, 1, "", "y")]
    error = FileProblems(problems)
    assert str(error) == "a:1:1: x\na:2:1: y"
    assert error.problems == tuple(problems)


def test_errors_of_a_peer_keep_their_facts():
    assert (SipError(486, "Busy").sip_status, str(SipError(486, "Busy"))) == (486, "SIP 486 Busy")
    lost = RemoteSessionError(FailureKind.RETRY, "close_1006", "gone")
    assert (lost.sip_status, lost.kind, str(lost)) == (503, FailureKind.RETRY, "close_1006: gone")


@pytest.mark.parametrize("kind", sorted(every(), key=lambda kind: kind.__name__))
def test_every_error_hints_at_a_final_sip_status(kind):
    assert 400 <= kind.sip_status <= 699


def test_the_head_of_the_module_names_every_error():
    ours = {kind.__name__ for kind in every() if kind.__module__ == errors.__name__}
    assert not {name for name in ours if name not in errors.__doc__}
