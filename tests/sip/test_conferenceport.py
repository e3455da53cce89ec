from bridge.media.frame import FRAME_BYTES
from bridge.sip.conferenceport import ConferencePort
from tests.fakes.line import frame, make_port


async def test_the_conference_way_moves_the_same_frames():
    port = make_port()
    port.start()

    class Frame:
        type = 0
        size = 0
        buf = b""

    slow = ConferencePort.__new__(ConferencePort)
    slow._port = port
    port.play("a", frame(5))
    out = Frame()
    slow.onFrameRequested(out)
    assert (bytes(out.buf), out.size) == (frame(5), FRAME_BYTES)
    heard = Frame()
    heard.type, heard.size, heard.buf = out.type, FRAME_BYTES, frame(6)
    slow.onFrameReceived(heard)
    assert await port.read() == frame(6)
    heard.size = 0
    slow.onFrameReceived(heard)
    assert port._intake.pull() is None
