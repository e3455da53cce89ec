"""What every test starts from."""

import logging

import pytest
import structlog


@pytest.fixture(autouse=True)
def fresh_logging():
    """A process configures its log once; a test that does so must not leave its stream to the next one."""
    handlers = logging.getLogger().handlers[:]
    yield
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.getLogger().handlers[:] = handlers
