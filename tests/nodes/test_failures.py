"""Two nodes, one edge, one PostgreSQL, each on a machine of its own: what dies, and what callers have of it.

The quick part of `python -m tests.bench.failures`; what is measured there stands in ops/failures.md.
"""

import pytest
import pytest_asyncio

from tests.bench import failing
from tests.fakes.machines import Installation, why_not_here

WHY_NOT = why_not_here()
CALLS = 8

pytestmark = [
    pytest.mark.system,
    pytest.mark.nodes,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT),
]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory):
    installation = Installation(tmp_path_factory.mktemp("site"))
    async with installation.running():
        yield installation


async def test_the_call_after_the_last_gets_503_at_once_and_disturbs_nobody(site):
    assert (await failing.one_too_many(site)).wrong == []


async def test_an_approval_is_given_on_another_node_and_done_once(site):
    assert (await failing.decided_elsewhere(site)).wrong == []


@pytest.mark.parametrize(
    "fault",
    [
        failing.kamailio_killed,
        failing.database_killed,
        failing.worker_killed,
        failing.rtpengine_killed,
        failing.control_killed,
    ],
    ids=lambda fault: fault.__name__,
)
async def test_no_call_but_its_own_is_lost_and_new_ones_are_taken_within_five_seconds(site, fault):
    """Every call has exactly one record, and no voice is heard in another's call."""
    effect = await fault(site, CALLS)
    assert effect.wrong == []
