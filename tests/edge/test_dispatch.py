"""Workers and Kamailio's list in, set_state out."""

from hypothesis import given
from hypothesis import strategies as st

from bridge.edge.dispatch import FORGET_S, Dispatch, Listed, SetState, listed
from bridge.edge.tables import GENERATIONS
from bridge.edge.target import SETS, Target

ONE, TWO = "sip:127.0.0.1:15060", "sip:127.0.0.1:15061"
PLACES = [(ONE, 4), (TWO, 4)]


class Kamailio:
    """Does as the real one with set_state and reload."""

    def __init__(self, machine):
        self.entries = {}
        self.reloads = 0
        self.reload(machine)

    def reload(self, machine):
        self.reloads += 1
        self.entries = {
            (line.set_id, line.dispatcher_uri): [
                "AX" if (line.pool, line.dispatcher_uri) in machine.in_use else "IX",
                0,
            ]
            for line in machine.lines
        }

    def shown(self):
        return [Listed(number, uri, flags, load) for (number, uri), (flags, load) in self.entries.items()]

    def obey(self, machine, orders):
        if orders.reload:
            self.reload(machine)
        for order in orders.states:
            self.entries[order.set_id, order.uri][0] = {"ap": "AP", "i": "IX"}[order.state]

    def active(self):
        return {key for key, (flags, _) in self.entries.items() if flags[0] == "A"}


def step(machine, kamailio, targets, now=0.0, **options):
    orders = machine.sync(targets, kamailio.shown(), now, **options)
    kamailio.obey(machine, orders)
    return orders


def test_a_worker_that_comes_gets_calls_and_one_that_goes_or_drains_gets_none():
    machine = Dispatch(PLACES)
    kamailio = Kamailio(machine)
    step(machine, kamailio, [Target(ONE, boot="x")])
    assert kamailio.active() == {(1, f"{ONE};g=0")}
    step(machine, kamailio, [Target(ONE, boot="x"), Target(TWO, "wide", boot="y")])
    assert kamailio.active() == {(1, f"{ONE};g=0"), (2, f"{TWO};g=0")}
    step(machine, kamailio, [Target(ONE, boot="x", state="draining"), Target(TWO, "wide", boot="y")])
    assert kamailio.active() == {(2, f"{TWO};g=0")}
    step(machine, kamailio, [])
    assert kamailio.active() == set()
    assert kamailio.reloads == 1, "no count of calls was thrown away"


def test_who_follows_a_worker_that_died_with_calls_counts_from_zero():
    machine = Dispatch(PLACES)
    kamailio = Kamailio(machine)
    step(machine, kamailio, [Target(ONE, boot="x")])
    kamailio.entries[1, f"{ONE};g=0"][1] = 3
    step(machine, kamailio, [])
    step(machine, kamailio, [Target(ONE, boot="y")])
    assert kamailio.active() == {(1, f"{ONE};g=1")}
    assert machine.lives == {ONE: ("y", 1)}


def test_who_follows_a_worker_that_left_without_calls_takes_the_same_entry():
    machine = Dispatch(PLACES)
    kamailio = Kamailio(machine)
    step(machine, kamailio, [Target(ONE, boot="x")])
    step(machine, kamailio, [Target(ONE, boot="y")])
    assert kamailio.active() == {(1, f"{ONE};g=0")}


def test_a_new_life_is_heard_of_at_once_whatever_probes_found_of_the_old_one():
    machine = Dispatch(PLACES)
    kamailio = Kamailio(machine)
    step(machine, kamailio, [Target(ONE, boot="x")])
    kamailio.entries[1, f"{ONE};g=0"][0] = "IP"
    assert step(machine, kamailio, [Target(ONE, boot="x")], 1.0).states == (), "the probes decide"
    assert step(machine, kamailio, [Target(ONE, boot="y")], 2.0).states == (SetState("ap", 1, f"{ONE};g=0"),)


def test_an_entry_that_answered_its_probe_is_probed_again_after_a_while():
    machine = Dispatch(PLACES, probe_every_s=5.0)
    kamailio = Kamailio(machine)
    targets = [Target(ONE, boot="x")]
    step(machine, kamailio, targets, 0.0)
    kamailio.entries[1, f"{ONE};g=0"][0] = "AX"
    assert step(machine, kamailio, targets, 4.9).states == ()
    assert step(machine, kamailio, targets, 5.0).states == (SetState("ap", 1, f"{ONE};g=0"),)


def test_a_control_that_has_just_started_takes_no_worker_away_that_has_not_told_yet():
    before = Dispatch(PLACES)
    kamailio = Kamailio(before)
    step(before, kamailio, [Target(ONE, boot="x"), Target(TWO, boot="y")])
    kamailio.entries[1, f"{ONE};g=0"][1] = 2
    machine = Dispatch(PLACES, before.lives)
    step(machine, kamailio, [Target(ONE, boot="x")], settled=False)
    assert kamailio.active() == {(1, f"{ONE};g=0"), (1, f"{TWO};g=0")}
    step(machine, kamailio, [Target(ONE, boot="x")], settled=True)
    assert kamailio.active() == {(1, f"{ONE};g=0")}


def test_a_life_is_lost_when_another_is_at_its_place_or_nobody_comes_back():
    machine = Dispatch(PLACES)
    kamailio = Kamailio(machine)

    def lost(targets, now):
        found = machine.lost(targets, now)
        step(machine, kamailio, targets, now)
        return found

    first, second = [Target(ONE, boot="x")], [Target(ONE, boot="y")]
    assert lost(first, 0.0) == []
    kamailio.entries[1, f"{ONE};g=0"][1] = 2
    assert lost(second, 1.0) == [(ONE, 0)], "another one is there"
    assert lost([], 2.0) == []
    assert lost(second, 3.0) == [], "only the link broke"
    assert lost([], 4.0) == []
    assert lost([], 7.0) == [(ONE, 1)], "nobody came back"
    assert lost([], 8.0) == [], "told once"
    assert lost([Target(ONE, boot="z")], 9.0) == []


def test_a_life_that_was_given_up_and_comes_back_takes_an_entry_that_counts_nothing():
    """As when a node's network was cut: its callers were hung up, but nobody takes their calls off the entry."""
    machine = Dispatch(PLACES)
    kamailio = Kamailio(machine)
    here = [Target(ONE, boot="x")]
    for now, targets in ((0.0, here), (1.0, []), (60.0, []), (61.0, here), (62.0, here)):
        machine.lost(targets, now)
        step(machine, kamailio, targets, now)
        kamailio.entries[1, f"{ONE};g=0"][1] = 4
    assert kamailio.active() == {(1, f"{ONE};g=1")}


def test_workers_of_another_node_are_learned_with_one_reload():
    machine = Dispatch(PLACES)
    kamailio = Kamailio(machine)
    far = Target("sip:10.0.0.9:15060", boot="z", node="b")
    assert step(machine, kamailio, [far]).reload
    assert kamailio.active() == {(1, "sip:10.0.0.9:15060;g=0")}
    assert not step(machine, kamailio, [far]).reload
    step(machine, kamailio, [])
    assert (kamailio.active(), kamailio.reloads) == (set(), 2)


def test_places_of_nodes_that_are_gone_for_good_are_dropped_when_the_list_is_read_anew_anyway():
    machine = Dispatch(PLACES)
    kamailio = Kamailio(machine)
    pods = [Target(f"sip:10.0.0.{number}:15060", boot=str(number), node=str(number)) for number in range(4)]
    step(machine, kamailio, [pods[0], Target(ONE, boot="x")], 0.0)
    machine.lost([pods[1]], 100.0)
    assert step(machine, kamailio, [pods[1]], 100.0).reload
    assert pods[0].uri in machine.addresses, "it may come back"
    assert not step(machine, kamailio, [], 40.0 + FORGET_S).reload, "not for this"
    assert step(machine, kamailio, [pods[2]], 50.0 + FORGET_S).reload
    assert machine.addresses == {ONE, TWO, pods[1].uri, pods[2].uri}
    assert set(machine.lives) == {ONE, pods[1].uri, pods[2].uri}
    assert step(machine, kamailio, [pods[0]], 51.0 + FORGET_S).reload, "as a new one"
    assert kamailio.active() == {(1, f"{pods[0].uri};g=0")}


LIVES = st.lists(
    st.tuples(
        st.sampled_from([None, "x", "y", "z"]),
        st.sampled_from(["narrow", "wide"]),
        st.sampled_from(["active", "draining"]),
        st.integers(0, 4),
    ),
    max_size=12,
)


@given(LIVES)
def test_never_are_two_entries_of_one_place_in_use_and_a_new_life_begins_on_the_least_loaded(story):
    machine = Dispatch(PLACES)
    kamailio = Kamailio(machine)
    last = None
    for now, (boot, pool, state, load) in enumerate(story):
        targets = [Target(ONE, pool, state, boot=boot)] if boot else []
        least = min(
            sum(kamailio.entries[number, f"{ONE};g={one}"][1] for number in SETS.values())
            for one in range(GENERATIONS)
        )
        step(machine, kamailio, targets, float(now))
        active = kamailio.active()
        assert len(active) == (1 if boot and state == "active" else 0)
        if active and boot != last:
            assert kamailio.entries[next(iter(active))][1] <= least
        if active:
            kamailio.entries[next(iter(active))][1] = load
        last = boot or last
    assert kamailio.reloads == 1


def test_kamailios_answer_is_read_and_nonsense_in_it_left_out():
    entry = {"DEST": {"URI": "sip:a;g=0", "FLAGS": "AP", "RUNTIME": {"DLGLOAD": 3}}}
    records = [{"SET": {"ID": 1, "TARGETS": [entry, {"DEST": {}}, None]}}, None, {"SET": {"ID": "x"}}]
    assert listed({"NRSETS": 1, "RECORDS": records}) == [Listed(1, "sip:a;g=0", "AP", 3)]
    assert listed(None) == listed([]) == listed({"RECORDS": 7}) == []
