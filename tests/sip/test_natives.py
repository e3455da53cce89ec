"""Against the real pjproject in the wheel: that is what the layouts must fit."""

import ctypes
from pathlib import Path

import pjsua2._pjsua2 as pj_extension
import pytest

from bridge.sip import natives
from bridge.sip.natives import Natives

pytestmark = pytest.mark.asyncio(loop_scope="session")
EXTENSION = Path(pj_extension.__file__)


async def test_the_layouts_are_those_of_the_wheel(agent):
    assert await agent._submit(Natives(EXTENSION).check) == ""


def memory_pages():
    return int(Path("/proc/self/statm").read_text().split()[1])


async def test_the_checks_leave_nothing_behind(agent):
    library = Natives(EXTENSION)
    before = memory_pages()
    for _ in range(300):
        assert await agent._submit(library.check) == ""
    assert memory_pages() - before < 100  # of 4 KiB


class Answering:
    """The library, but for the functions a test answers itself."""

    def __init__(self, library, **functions):
        self._library = library
        self.__dict__.update(functions)

    def __getattr__(self, name):
        return getattr(self._library, name)


def another(**functions):
    natives_ = Natives(EXTENSION)
    natives_._library = Answering(natives_._library, **functions)
    return natives_


async def test_another_version_is_not_trusted(agent):
    assert "2.16" in another(pj_get_version=lambda: b"2.16").check()


def refuse(*args):
    return 70001


@pytest.mark.parametrize("function", ["pjmedia_null_port_create", "pjmedia_jbuf_create"])
async def test_an_object_that_cannot_be_made_is_said(agent, function):
    assert f"{function} failed" in await agent._submit(another(**{function: refuse}).check)


async def test_a_port_of_another_layout_is_noticed(agent):
    def shifted(pool, rate, channels, samples, bits, port):
        block = ctypes.create_string_buffer(b"\x05" * 256, 256)
        ctypes.cast(port, ctypes.POINTER(ctypes.c_void_p))[0] = ctypes.addressof(block)
        shifted.block = block
        return 0

    library = another(
        pjmedia_null_port_create=shifted,
        pjmedia_port_get_frame=lambda *a: 0,
        pjmedia_port_destroy=lambda *a: 0,
    )
    problem = await agent._submit(library.check)
    assert problem.startswith("pjmedia_port layout")


async def test_a_jitter_buffer_of_another_layout_is_noticed(agent):
    problem = await agent._submit(another(pjmedia_jbuf_get_state=lambda *a: 0).check)
    assert problem.startswith("pjmedia_jb_state layout")


@pytest.mark.parametrize("function", ["pjmedia_stream_get_port", "pjmedia_port_add_ref"])
async def test_a_stream_that_cannot_be_held_is_refused(agent, function):
    info = natives._PortInfo(clock_rate=8000, frame_time_us=20_000)

    def give_port(stream, port):
        ctypes.cast(port, ctypes.POINTER(ctypes.c_void_p))[0] = ctypes.addressof(info)
        return 0

    answers = {"pjmedia_stream_get_port": give_port, "pjmedia_port_add_ref": refuse, function: refuse}
    with pytest.raises(OSError, match=function):
        another(**answers).open(4711)


async def test_a_library_without_the_functions_is_said_at_once(agent):
    with pytest.raises(AttributeError):
        Natives(Path("libc.so.6"))


@pytest.mark.parametrize("frame_time_us", [0, 201_000, 2_000_000])
async def test_a_packet_time_that_would_not_fit_the_buffer_is_refused(agent, frame_time_us):
    info = natives._PortInfo(clock_rate=8000, frame_time_us=frame_time_us)

    def give_port(stream, port):
        ctypes.cast(port, ctypes.POINTER(ctypes.c_void_p))[0] = ctypes.addressof(info)
        return 0

    with pytest.raises(OSError, match="packets of"):
        another(pjmedia_stream_get_port=give_port, pjmedia_port_add_ref=lambda port: 0).open(1)
