"""The few C functions of pjmedia that pjsua2 does not wrap, called by address: audited, checked before first use.

Why: pjsua2 gives Python its audio through the conference bridge, whose clock costs a call 19 to 40 ms and
whose frames
are copied through SWIG vectors (145 µs each). The stream port that the bridge would read is a plain `pjmedia_port`;
reading and writing it directly costs 2 µs and waits for nothing (measured: RTP in to RTP out 10 ms instead of 19).

The structures below are those of pjproject 2.15.1 (pjmedia/frame.h, port.h, jbuf.h, rtcp.h). `check()` proves
each layout on live
objects made for that purpose; any surprise, or another version, and the worker uses the conference bridge instead.
Called on the pj thread (check) and the media thread (the rest); both are registered with pjlib.
"""

import ctypes
from pathlib import Path

from bridge.sip.clibrary import POINTER, Signatures, open_library

TESTED_VERSION = b"2.15.1"
FRAME_AUDIO = 1  # PJMEDIA_FRAME_TYPE_AUDIO
# pjmedia_rtcp_stat.rx.pkt and .loss; a system test compares them with pjsua2's own figures.
RX_PACKETS_OFFSET = 156
RX_LOST_OFFSET = 168
_MAX_PTIME_US = 200_000  # pjmedia refuses a longer one
_MAX_FRAME_BYTES = 6400  # of it, at 16 kHz


class _JitterBufferState(ctypes.Structure):
    """pjmedia_jb_state."""

    _fields_ = tuple(
        (name, ctypes.c_uint)
        for name in [
            "frame_size",
            "min_prefetch",
            "max_prefetch",
            "max_count",
            "burst",
            "prefetch",
            "size",
            "avg_delay",
            "min_delay",
            "max_delay",
            "dev_delay",
            "avg_burst",
            "lost",
            "discard",
            "empty",
            "spare",
        ]
    )


class _Frame(ctypes.Structure):
    """pjmedia_frame."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("buf", ctypes.c_void_p),
        ("size", ctypes.c_size_t),
        ("timestamp", ctypes.c_uint64),
        ("bit_info", ctypes.c_uint32),
    )


class _PortInfo(ctypes.Structure):
    """The head of pjmedia_port: pjmedia_port_info with an audio format."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_long),
        ("signature", ctypes.c_uint32),
        ("direction", ctypes.c_int),
        ("format_id", ctypes.c_uint32),
        ("format_type", ctypes.c_int),
        ("detail_type", ctypes.c_int),
        ("clock_rate", ctypes.c_uint),
        ("channel_count", ctypes.c_uint),
        ("frame_time_us", ctypes.c_uint),
        ("bits_per_sample", ctypes.c_uint),
    )


_SIGNATURES: Signatures = {
    "pj_get_version": (ctypes.c_char_p, []),
    "pjsua_pool_create": (POINTER, [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_size_t]),
    "pj_pool_release": (None, [POINTER]),
    "pjsua_set_no_snd_dev": (POINTER, []),
    "pjmedia_null_port_create": (
        ctypes.c_int,
        [POINTER, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, POINTER],
    ),
    "pjmedia_port_get_frame": (ctypes.c_int, [POINTER, POINTER]),
    "pjmedia_port_put_frame": (ctypes.c_int, [POINTER, POINTER]),
    "pjmedia_port_add_ref": (ctypes.c_int, [POINTER]),
    "pjmedia_port_dec_ref": (ctypes.c_int, [POINTER]),
    "pjmedia_port_destroy": (ctypes.c_int, [POINTER]),
    "pjmedia_stream_get_port": (ctypes.c_int, [POINTER, POINTER]),
    "pjmedia_stream_get_stat_jbuf": (ctypes.c_int, [POINTER, POINTER]),
    "pjmedia_stream_get_stat": (ctypes.c_int, [POINTER, POINTER]),
    "pjmedia_jbuf_create": (
        ctypes.c_int,
        [POINTER, POINTER, ctypes.c_uint, ctypes.c_uint, ctypes.c_uint, POINTER],
    ),
    "pjmedia_jbuf_put_frame": (None, [POINTER, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int]),
    "pjmedia_jbuf_get_state": (ctypes.c_int, [POINTER, POINTER]),
    "pjmedia_jbuf_destroy": (ctypes.c_int, [POINTER]),
}


class NativeStream:
    """One RTP stream, held by its own reference so that pjmedia cannot free it under us."""

    def __init__(self, library: ctypes.PyDLL, stream: int) -> None:
        self._library = library
        self._stream = stream
        port = ctypes.c_void_p()
        if library.pjmedia_stream_get_port(stream, ctypes.byref(port)) or not port.value:
            raise OSError("pjmedia_stream_get_port failed")
        info = _PortInfo.from_address(port.value)
        self.rate_hz = int(info.clock_rate)
        self.ptime_ms = info.frame_time_us // 1000
        self.frame_bytes = info.clock_rate * info.frame_time_us // 1_000_000 * 2
        if not 0 < self.frame_bytes <= _MAX_FRAME_BYTES or info.frame_time_us > _MAX_PTIME_US:
            raise OSError(f"the stream wants packets of {self.ptime_ms} ms")
        if library.pjmedia_port_add_ref(port):
            raise OSError("pjmedia_port_add_ref failed")
        self._port = port.value
        self._buffer = (ctypes.c_char * _MAX_FRAME_BYTES)()
        self._address = ctypes.addressof(self._buffer)
        self._frame = _Frame(buf=self._address)
        self._frame_ref = ctypes.byref(self._frame)
        self._pcm = memoryview(self._buffer).cast("B")[: self.frame_bytes]
        self._jitter_buffer = _JitterBufferState()
        self._jitter_buffer_ref = ctypes.byref(self._jitter_buffer)
        self._rtcp = (ctypes.c_char * 1024)()
        self._rx_packets = ctypes.c_uint32.from_buffer(self._rtcp, RX_PACKETS_OFFSET)
        self._rx_lost = ctypes.c_uint32.from_buffer(self._rtcp, RX_LOST_OFFSET)

    def queued_frames(self) -> int:
        """Codec frames (10 ms in G.711 and G.722) in the jitter buffer, holes included."""
        self._library.pjmedia_stream_get_stat_jbuf(self._stream, self._jitter_buffer_ref)
        return int(self._jitter_buffer.size)

    def received(self) -> tuple[int, int]:
        """RTP packets received and found lost so far."""
        self._library.pjmedia_stream_get_stat(self._stream, self._rtcp)
        return self._rx_packets.value, self._rx_lost.value

    def read(self) -> bytes:
        """One frame of `ptime_ms` from the jitter buffer, decoded; a missing one is concealed. PCM at `rate_hz`."""
        frame = self._frame
        frame.size = self.frame_bytes
        self._library.pjmedia_port_get_frame(self._port, self._frame_ref)
        if frame.type != FRAME_AUDIO or frame.size != self.frame_bytes:
            return bytes(self.frame_bytes)
        return self._pcm.tobytes()

    def write(self, pcm: bytes) -> None:
        """Encode and send one frame of `ptime_ms` as an RTP packet, now. `pcm` must be `frame_bytes` long."""
        self._pcm[:] = pcm
        frame = self._frame
        frame.type = FRAME_AUDIO
        frame.size = self.frame_bytes
        self._library.pjmedia_port_put_frame(self._port, self._frame_ref)

    def release(self) -> None:
        """Give the reference back; the object must not be used afterwards."""
        self._library.pjmedia_port_dec_ref(self._port)


class SilentConference:
    """The conference bridge nobody clocks: our media clock serves the streams themselves.

    pjsua adds every stream to it and takes it out again, by a queue that the bridge works off when it is asked for a
    frame (2.15 on). Nobody asks, so each call would leave 42 kB behind. `settle` asks, once, while no stream is in it:
    with one in it the bridge would write to that stream too. Pj thread.
    """

    def __init__(self, library: ctypes.PyDLL, rate_hz: int) -> None:
        self._library = library
        self._frame_bytes = rate_hz // 50 * 2
        self._port = library.pjsua_set_no_snd_dev()
        self._buffer = (ctypes.c_char * _MAX_FRAME_BYTES)()

    def settle(self) -> None:
        """Let the bridge work off what is queued. Only while there is no call."""
        frame = _Frame(buf=ctypes.addressof(self._buffer), size=self._frame_bytes)
        self._library.pjmedia_port_get_frame(self._port, ctypes.byref(frame))


class Natives:
    """pjsua2's own extension module, opened a second time by its path.

    `check()` needs an initialised pjsua2 Endpoint (its pool factory).
    """

    def __init__(self, extension: Path) -> None:
        self._library = open_library(extension, _SIGNATURES)

    def check(self) -> str:
        """Say what is not as expected; an empty string when every layout is."""
        version = self._library.pj_get_version()
        if version != TESTED_VERSION:
            return f"pjproject {version!r} is not the tested {TESTED_VERSION!r}"
        pool = self._library.pjsua_pool_create(b"natives", 4000, 4000)
        try:
            return self._check_port(pool) or self._check_jitter_buffer(pool)
        finally:
            self._library.pj_pool_release(pool)

    def silence_conference(self, rate_hz: int) -> SilentConference:
        """Run without sound device and without conference clock. `rate_hz`: the endpoint's."""
        return SilentConference(self._library, rate_hz)

    def open(self, stream: object) -> NativeStream:
        """The stream behind a `void *` that pjsua2's onStreamCreated handed over."""
        return NativeStream(self._library, int(stream))  # type: ignore[call-overload]  # a SWIG pointer

    def _check_port(self, pool: int) -> str:
        port = ctypes.c_void_p()
        if self._library.pjmedia_null_port_create(pool, 8000, 1, 160, 16, ctypes.byref(port)):
            return "pjmedia_null_port_create failed"
        info = _PortInfo.from_address(port.value or 0)
        buffer = ctypes.create_string_buffer(b"\x01" * 320, 320)
        frame = _Frame(buf=ctypes.addressof(buffer), size=320)
        self._library.pjmedia_port_get_frame(port, ctypes.byref(frame))
        found = (
            info.clock_rate,
            info.channel_count,
            info.frame_time_us,
            info.bits_per_sample,
            frame.type,
            frame.size,
        )
        silent = not any(buffer.raw)
        self._library.pjmedia_port_destroy(port)
        wanted = (8000, 1, 20000, 16, FRAME_AUDIO, 320)
        return "" if found == wanted and silent else f"pjmedia_port layout: {found} instead of {wanted}"

    def _check_jitter_buffer(self, pool: int) -> str:
        name = (ctypes.c_long * 2)()  # an empty pj_str_t
        buffer = ctypes.c_void_p()
        if self._library.pjmedia_jbuf_create(pool, ctypes.byref(name), 80, 10, 30, ctypes.byref(buffer)):
            return "pjmedia_jbuf_create failed"
        for sequence in range(3):
            self._library.pjmedia_jbuf_put_frame(buffer, bytes(80), 80, sequence)
        state = _JitterBufferState()
        self._library.pjmedia_jbuf_get_state(buffer, ctypes.byref(state))
        self._library.pjmedia_jbuf_destroy(buffer)
        found = (state.frame_size, state.max_count, state.size)
        return "" if found == (80, 30, 3) else f"pjmedia_jb_state layout: {found} instead of (80, 30, 3)"
