"""What every test starts from."""

import logging

# Early: pytest compiles it when it is first imported, and late, beside other threads that compile, Python 3.11 may
# fail at that (github.com/python/cpython/issues/106905).
import hypothesis  # noqa: F401
import pytest
import structlog

from tests.fakes.postgres import Cluster


@pytest.fixture(autouse=True)
def fresh_logging():
    """A process configures its log once; a test that does so must not leave its stream to the next one."""
    handlers = logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.getLogger().handlers[:] = handlers


@pytest.fixture(scope="session")
def cluster():
    """One PostgreSQL for all tests that want a database of their own in it."""
    running = Cluster()
    try:
        running.start()
        yield running
    finally:
        running.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    """The URL of a fresh database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/store.db"
    return request.getfixturevalue("cluster").fresh()
