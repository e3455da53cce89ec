from hypothesis import given
from hypothesis import strategies as st

from bridge.link.outbox import Outbox, Span


def filled(*sizes: int, window: int = 10) -> Outbox:
    outbox = Outbox(window=window)
    for size in sizes:
        outbox.appended(size)
    return outbox


def test_an_empty_outbox_has_nothing_to_send():
    assert Outbox().unsent() is None


def test_what_is_written_is_sent_once_from_where_sending_stopped():
    outbox = filled(10, 20)
    assert outbox.unsent() == Span(0, 10)
    outbox.sent(1, 10)
    assert outbox.unsent() == Span(10, 9)
    outbox.sent(2, 20)
    assert outbox.unsent() is None


def test_a_full_window_sends_no_more_until_an_ack_comes():
    outbox = filled(10, 10, 10, window=2)
    outbox.sent(1, 10)
    outbox.sent(2, 10)
    assert outbox.unsent() is None
    assert not outbox.acked(1)
    assert outbox.unsent() == Span(20, 1)


def test_the_last_ack_asks_for_an_empty_file_and_starts_again_at_zero():
    outbox = filled(10, 10)
    outbox.sent(1, 10)
    outbox.sent(2, 10)
    assert outbox.acked(2)
    assert (outbox.size, outbox.backlog_bytes) == (0, 0)
    outbox.appended(5)
    assert outbox.unsent() == Span(0, 10)


def test_an_ack_for_nothing_changes_nothing():
    outbox = filled(10)
    assert not outbox.acked(7)
    assert outbox.backlog_bytes == 10
    assert not Outbox().acked(7)


def test_after_a_lost_connection_everything_behind_the_last_ack_is_sent_again():
    outbox = filled(10, 20, 30)
    for seq, size in enumerate((10, 20, 30), 1):
        outbox.sent(seq, size)
    outbox.acked(1)
    outbox.disconnected()
    assert outbox.unsent() == Span(10, 10)
    assert outbox.backlog_bytes == 50


def test_when_full_chatter_is_refused_and_counted_while_the_life_of_a_call_goes_in():
    outbox = Outbox(max_bytes=100)
    outbox.appended(95)
    assert not outbox.admit("speech.started", 10)
    assert outbox.admit("speech.started", 5)
    assert outbox.admit("call.ended", 105)
    outbox.appended(100)
    assert not outbox.admit("call.ended", 10)
    assert outbox.refused == 2


def test_a_file_that_somebody_cut_is_counted_and_forgotten():
    outbox = filled(10, 20)
    outbox.sent(1, 10)
    outbox.emptied()
    assert (outbox.size, outbox.backlog_bytes, outbox.refused, outbox.unsent()) == (0, 0, 1, None)
    assert not outbox.acked(1)


class World:
    """An outbox, its file as a list of lines of one byte each (so offsets are indexes), and the far end."""

    def __init__(self, window: int) -> None:
        self.outbox, self.file, self.arrived, self.written = Outbox(window=window), [], [], 0

    def write(self):
        self.written += 1
        self.file.append(self.written)
        self.outbox.appended(1)

    def send(self):
        while span := self.outbox.unsent():
            for seq in self.file[span.start : span.start + span.events]:
                self.outbox.sent(seq, 1)
                if not self.arrived or seq > self.arrived[-1]:
                    self.arrived.append(seq)

    def ack(self, index=-1):
        if self.arrived and self.outbox.acked(self.arrived[index]):
            self.file.clear()

    def ack_some(self):
        self.ack(len(self.arrived) // 2)

    def lose(self):
        self.outbox.disconnected()


MOVES = [World.write, World.send, World.ack, World.ack_some, World.lose]


@given(st.lists(st.sampled_from(MOVES), max_size=60), st.integers(1, 4))
def test_whatever_happens_every_event_arrives_in_order_and_the_memory_stays_bounded(steps, window):
    world = World(window)
    for step in [*steps, World.lose, *[World.send, World.ack] * (len(steps) + 1)]:
        step(world)
        assert len(world.outbox._in_flight) <= window
    assert world.arrived == list(range(1, world.written + 1))
    assert world.file == []
    assert world.outbox.backlog_bytes == 0
