"""The load tool's arithmetic and its telephones: a fault that is put in must be found, or no figure means much."""

import select
import socket
import time

import pytest

from tests.bench.loadmedia import PORTS_PER_CALL, Heard, Histogram, Telephones, compiled
from tests.bench.loadreport import Level, RateStep, knee, summary
from tests.bench.loadsip import Placed, Refusal, scenario
from tests.bench.loadsystem import Usage, kind_of

GUARD_S = 20


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    return compiled(tmp_path_factory.mktemp("loadmedia"))


class Echo:
    """Stands for the bridge: gives each telephone its own packets back, 40 samples later, as pjmedia does."""

    def __init__(self, phones, calls, *, harm=lambda call, number, payload: [payload]):
        self.harm = harm
        self.socks = []
        for call in range(calls):
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            sock.bind(("127.0.0.1", 0))
            sock.connect(("127.0.0.1", phones.port + PORTS_PER_CALL * call))
            self.socks.append(sock)
        self.before = [b"\xff" * 40] * calls
        self.sequence = [0] * calls
        self.heard = [0] * calls
        for call in range(calls):
            self.send(call, b"\xff" * 160)

    def send(self, call, payload):
        header = b"\x80\x00" + (self.sequence[call] & 0xFFFF).to_bytes(2) + bytes(4) + call.to_bytes(4)
        self.sequence[call] += 1
        self.socks[call].send(header + payload)

    def swap(self, call, first, second):
        """The later of two packets goes first."""
        numbers = self.sequence[call]
        self.sequence[call] = numbers + 1
        self.send(call, second)
        self.sequence[call] = numbers
        self.send(call, first)
        self.sequence[call] = numbers + 2

    def run(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            ready, _, _ = select.select(self.socks, [], [], 0.05)
            for sock in ready:
                call = self.socks.index(sock)
                spoken = sock.recv(512)[12:]
                late, self.before[call] = self.before[call] + spoken[:120], spoken[120:]
                self.heard[call] += 1
                for payload in self.harm(call, self.heard[call], late):
                    if isinstance(payload, tuple):
                        self.swap(call, *payload)
                    else:
                        self.send(call, payload)


def talked(program, *, calls=2, exact=True, harm=lambda call, number, payload: [payload]):
    with Telephones(program, "127.0.0.1", calls, exact=exact) as phones:
        echo = Echo(phones, calls, harm=harm)
        echo.run(0.3)
        phones.mark()
        echo.run(1.0)
        phones.hush()
        echo.run(0.2)
        heard = phones.report()
        for sock in echo.socks:
            sock.close()
    return heard


def test_what_comes_back_whole_is_right(program):
    heard = talked(program)
    assert heard.right, heard
    assert heard.up == 2
    assert heard.sent == heard.back >= 80
    assert heard.gaps.percentile(50) == pytest.approx(20, abs=2)
    assert heard.rtt.percentile(50) < 15


def test_a_lost_frame_is_found_in_its_call(program):
    heard = talked(program, harm=lambda call, number, payload: [] if (call, number) == (1, 40) else [payload])
    assert not heard.right
    assert heard.wrong_calls == (1,)
    assert heard.faults["lost"] == 1


def test_one_changed_sample_is_found_when_bytes_must_be_the_same(program):
    def changed(call, number, payload):
        return [payload[:60] + bytes([payload[60] ^ 1]) + payload[61:]] if number == 30 else [payload]

    assert talked(program, harm=changed).faults["damaged"] == 2
    assert talked(program, exact=False, harm=changed).right


def test_the_audio_of_another_call_is_foreign(program):
    kept = {}

    def crossed(call, number, payload):
        kept[call] = payload
        return [kept.get(1, payload)] if (call, number) == (0, 40) else [payload]

    heard = talked(program, harm=crossed)
    assert heard.faults["foreign"] == 1
    assert heard.wrong_calls == (0,)


def test_a_frame_that_comes_twice_is_repeated(program):
    heard = talked(program, harm=lambda call, number, payload: [payload] * (2 if number == 40 else 1))
    assert heard.faults["repeated"] + heard.faults["lost"] > 0
    assert not heard.right


def test_two_packets_that_change_places_lose_nothing(program):
    kept = []

    def swapped(call, number, payload):
        if (call, number) == (1, 40):
            kept.append(payload)
            return []
        return [(kept.pop(), payload)] if kept and call == 1 else [payload]

    heard = talked(program, harm=swapped)
    assert heard.right, heard
    assert heard.reordered == 1


def test_a_histogram_knows_its_percentiles():
    histogram = Histogram({"200": 98, "300": 1, "450": 1})
    assert histogram.percentile(50) == pytest.approx(20.05)
    assert histogram.percentile(99) == pytest.approx(30.05)
    assert histogram.largest == pytest.approx(45.05)


def heard_of(calls, gap=200, **faults):
    blank = dict.fromkeys(("lost", "tail", "repeated", "foreign", "damaged", "strangers", "breaks"), 0)
    one = {"up": 1, "sent": 100, "back": 100, "starved": 0, "reordered": 0} | blank
    entries = [{"call": call, **one} for call in range(calls)]
    entries[0] |= faults
    return Heard.read({"calls": entries, "rtt": {"500": 100}, "gaps": {str(gap): 1000}, "late": {"1": 10}})


def level(calls, cores_a_call=0.008, *, idle=0.0, gap=200, status=503, **faults):
    used = {"worker": Usage(idle + cores_a_call * calls, 9.0 * calls, 100.0, calls // 4)}
    resting = {"worker": Usage(idle, 9.0, 10.0, 1)}
    placed = Placed(calls, calls, tuple([5.0] * calls), "")
    heard, refused = heard_of(calls, gap, **faults), [Refusal(status, 2.0, "5")]
    return Level(calls, calls, placed, heard, used, resting, refused, calls + 1, 0.1)


def test_a_level_is_right_only_with_all_its_frames_and_records():
    assert level(4).right
    assert level(4).cpu_percent == pytest.approx(0.8)
    assert level(4).mb == pytest.approx(9)
    assert level(4, idle=0.02).cpu_percent == pytest.approx(1.3)
    assert level(4, idle=0.02).added_percent == pytest.approx(0.8)
    assert not level(4, foreign=1).right
    assert not level(4, back=99).right
    assert "foreign" in level(4, foreign=1).said()


@pytest.mark.parametrize(
    ("levels", "found"),
    [
        ([level(4), level(16), level(80)], None),
        ([level(4), level(16), level(80, 0.02)], 16),
        ([level(4), level(16, gap=350), level(80)], 4),
        ([level(4, lost=1), level(16)], 0),
        ([level(4, idle=0.015), level(16, idle=0.015), level(80, idle=0.02)], None),
    ],
)
def test_the_knee_is_before_the_first_level_that_is_wrong_dear_or_late(levels, found):
    assert knee(levels) == found


def test_the_summary_holds_every_aim_against_what_was_seen():
    step = RateStep(20.0, 2.0, Placed(100, 100, (5.0,), ""))
    good = summary([level(4), level(80)], [step])
    assert [line[:4] for line in good if not line.startswith(" ")] == ["OK  "] * 6
    bad = summary(
        [level(4), level(80, 0.012, gap=350, status=486)], [RateStep(20.0, 2.0, Placed(100, 99, (5.0,), ""))]
    )
    assert [line[:4] for line in bad if not line.startswith(" ")] == [
        "OK  ",
        "MISS",
        "MISS",
        "OK  ",
        "MISS",
        "MISS",
    ]


def test_processes_are_told_apart_by_their_command():
    assert kind_of(b"python\0-m\0bridge\0worker\0") == "worker"
    assert kind_of(b"python\0-m\0bridge\0control\0--config\0x") == "control"
    assert kind_of(b"python\0-m\0bridge.supervisor\0serve.json\x003\0") == "supervisor"
    assert kind_of(b"/usr/sbin/kamailio\0-DD\0") == "kamailio"
    assert kind_of(b"bash\0") == "other"


def test_the_scenario_follows_the_contact_and_the_route():
    text = scenario()
    assert text.count("[next_url]") == 2
    assert text.count("[routes]") == 2
    assert 'rrs="true"' in text
