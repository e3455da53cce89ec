"""Against the real pjproject in the wheel: that is what the layouts must fit."""

import ctypes
from pathlib import Path

import pjsua2 as pj
import pjsua2._pjsua2 as pj_extension
import pytest

from bridge.sip import natives
from bridge.sip.natives import Natives


@pytest.fixture(scope="module")
def endpoint():
    endpoint = pj.Endpoint()
    endpoint.libCreate()
    config = pj.EpConfig()
    config.uaConfig.threadCnt = 0
    config.uaConfig.mainThreadOnly = True
    config.logConfig.level = config.logConfig.consoleLevel = 0
    endpoint.libInit(config)
    yield endpoint
    endpoint.libDestroy()


@pytest.fixture
def library(endpoint):
    return Natives(Path(pj_extension.__file__))


def test_the_layouts_are_those_of_the_wheel(library):
    assert library.check() == ""


def test_the_checks_leave_nothing_behind(library):
    before = Path("/proc/self/statm").read_text().split()[1]
    for _ in range(300):
        assert library.check() == ""
    after = Path("/proc/self/statm").read_text().split()[1]
    assert int(after) - int(before) < 100  # pages of 4 KiB


class Answering:
    """The library, but for the functions a test answers itself."""

    def __init__(self, library, **functions):
        self._library = library
        self.__dict__.update(functions)

    def __getattr__(self, name):
        return getattr(self._library, name)


def another(endpoint, **functions):
    natives_ = Natives(Path(pj_extension.__file__))
    natives_._library = Answering(natives_._library, **functions)
    return natives_


def test_another_version_is_not_trusted(endpoint):
    assert "2.16" in another(endpoint, pj_get_version=lambda: b"2.16").check()


def refuse(*args):
    return 70001


@pytest.mark.parametrize("function", ["pjmedia_null_port_create", "pjmedia_jbuf_create"])
def test_an_object_that_cannot_be_made_is_said(endpoint, function):
    assert f"{function} failed" in another(endpoint, **{function: refuse}).check()


def test_a_port_of_another_layout_is_noticed(endpoint):
    def shifted(pool, rate, channels, samples, bits, port):
        block = ctypes.create_string_buffer(b"\x05" * 256, 256)
        ctypes.cast(port, ctypes.POINTER(ctypes.c_void_p))[0] = ctypes.addressof(block)
        shifted.block = block
        return 0

    problem = another(
        endpoint,
        pjmedia_null_port_create=shifted,
        pjmedia_port_get_frame=lambda *a: 0,
        pjmedia_port_destroy=lambda *a: 0,
    ).check()
    assert problem.startswith("pjmedia_port layout")


def test_a_jitter_buffer_of_another_layout_is_noticed(endpoint):
    problem = another(endpoint, pjmedia_jbuf_get_state=lambda *a: 0).check()
    assert problem.startswith("pjmedia_jb_state layout")


@pytest.mark.parametrize("function", ["pjmedia_stream_get_port", "pjmedia_port_add_ref"])
def test_a_stream_that_cannot_be_held_is_refused(endpoint, function):
    info = natives._PortInfo(clock_rate=8000, frame_time_us=20_000)

    def give_port(stream, port):
        ctypes.cast(port, ctypes.POINTER(ctypes.c_void_p))[0] = ctypes.addressof(info)
        return 0

    answers = {"pjmedia_stream_get_port": give_port, "pjmedia_port_add_ref": refuse, function: refuse}
    with pytest.raises(OSError, match=function):
        another(endpoint, **answers).open(4711)


def test_a_library_without_the_functions_is_said_at_once(endpoint):
    with pytest.raises(AttributeError):
        Natives(Path("libc.so.6"))


@pytest.mark.parametrize("frame_time_us", [0, 201_000, 2_000_000])
def test_a_packet_time_that_would_not_fit_the_buffer_is_refused(endpoint, frame_time_us):
    info = natives._PortInfo(clock_rate=8000, frame_time_us=frame_time_us)

    def give_port(stream, port):
        ctypes.cast(port, ctypes.POINTER(ctypes.c_void_p))[0] = ctypes.addressof(info)
        return 0

    with pytest.raises(OSError, match="packets of"):
        another(endpoint, pjmedia_stream_get_port=give_port, pjmedia_port_add_ref=lambda port: 0).open(1)
