"""What every test starts from, and in which order they are run. How they are shared out: tests/README.md."""

import logging
import shutil
import tempfile
from pathlib import Path
from uuid import uuid4

# Early: pytest compiles it when it is first imported, and late, beside other threads that compile, Python 3.11 may
# fail at that (github.com/python/cpython/issues/106905).
import hypothesis
import pytest
import structlog

from tests.fakes import databases, parallel, ports
from tests.fakes.netns import own_network
from tests.fakes.postgres import Cluster

# A loaded machine is slow: an example has no deadline, a test has. And a run tells of the code it ran on: it tries the
# same examples as the last one. `--hypothesis-profile=search` looks for others.
LOADED = dict(deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow], print_blob=True)
hypothesis.settings.register_profile("suite", derandomize=True, **LOADED)
hypothesis.settings.register_profile("search", max_examples=2000, **LOADED)
hypothesis.settings.load_profile("suite")


def common_folder(run: str) -> Path:
    """A folder that all processes of one run of the suite know."""
    return Path(tempfile.gettempdir()) / f"sipbridge-tests-{run}"


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    if hasattr(config, "workerinput"):  # one of several processes of pytest-xdist
        if not own_network():
            number = int(config.workerinput["workerid"].removeprefix("gw"))
            ports.share_out(number, config.workerinput["workercount"])
    elif config.option.numprocesses:
        config.option.testrunuid = config.option.testrunuid or uuid4().hex
        common_folder(config.option.testrunuid).mkdir(mode=0o700)


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput") and config.option.numprocesses:
        shutil.rmtree(common_folder(config.option.testrunuid), ignore_errors=True)


def pytest_xdist_auto_num_workers():
    return parallel.processes()


def pytest_xdist_make_scheduler(config, log):
    config.option.loadscopereorder = False
    return parallel.Scheduler(config, log)


def pytest_collection_modifyitems(config, items):
    if hasattr(config, "workerinput"):
        items.sort(key=parallel.order)


@pytest.hookimpl(wrapper=True, tryfirst=True)  # around pytest-timeout's timer: to wait for a turn is no test
def pytest_runtest_protocol(item):
    told = getattr(item.config, "workerinput", None)
    real_time = item.get_closest_marker("system") is not None
    alone = item.get_closest_marker("quiet") is not None
    if not told or not real_time:
        return (yield)
    with parallel.turn(common_folder(told["testrunuid"]), alone=alone):
        return (yield)


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
        return databases.migrated(tmp_path / "store.db")
    return request.getfixturevalue("cluster").fresh()
