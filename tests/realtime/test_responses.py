"""Demands: reference 1.7 (one response may write to the conversation) and 1.8; issue 2, point 5."""

import pytest

from bridge.errors import LocalSessionError
from bridge.realtime.responses import (
    ALREADY_ACTIVE,
    MAX_OUT_OF_BAND,
    MAX_REMEMBERED,
    MAX_WISHES,
    Created,
    ResponseOwner,
)


def owner(*, server_responds: bool = False) -> ResponseOwner:
    machine = ResponseOwner(response_wait_s=3.0, create_wait_s=10.0)
    machine.server_responds = server_responds
    return machine


def create(machine: ResponseOwner, event_id: str = "e1", now: float = 0.0) -> str:
    assert machine.may_create(now)
    return machine.next_create(event_id, now).tag


def test_a_wish_goes_out_at_once_when_nothing_runs():
    machine = owner()
    tag = machine.ask("say", {"instructions": "x"})
    assert create(machine, now=1.0) == tag
    assert machine.outstanding
    assert machine.wake_s == 11.0
    assert machine.created("r", {"wish": tag}, unattached=False) == Created(1.0, wish=tag)
    assert machine.active == "r"
    assert machine.wake_s is None


def test_a_second_wish_waits_for_the_end_of_the_first():
    machine = owner()
    first, second = machine.ask("say", {}), machine.ask("say", {})
    create(machine)
    assert not machine.may_create(1)
    machine.created("r", {"wish": first}, unattached=False)
    assert not machine.may_create(1)
    machine.done("r")
    assert create(machine, "e2") == second


def test_plain_wishes_merge():
    machine = owner()
    first = machine.ask("say", {})
    machine.reply({"a"})
    machine.reply({"b"})
    assert machine.pending == 2
    assert create(machine) == first
    machine.created("r", {"wish": first}, unattached=False)
    machine.done("r")
    assert machine.next_create("e", 0).needs == {"a", "b"}


def test_too_many_wishes_with_words_of_their_own_are_refused():
    machine = owner()
    for _ in range(MAX_WISHES):
        machine.ask("say", {})
    with pytest.raises(LocalSessionError):
        machine.ask("say", {})


def test_a_wish_waits_while_the_caller_speaks_and_for_the_servers_own_answer():
    machine = owner(server_responds=True)
    machine.ask("say", {})
    machine.speech_started(0.0)
    assert machine.speaking
    assert not machine.may_create(0)
    assert machine.wake_s == 30.0
    machine.turn_ended(5.0, ended_by_speech=True)
    machine.turn_ended(5.1, ended_by_speech=False)
    assert not machine.may_create(6.0)
    assert machine.wake_s == 8.1
    assert machine.created("r", {}, unattached=False) == Created(5.0)
    machine.done("r")
    assert machine.may_create(6.0)


def test_an_answer_the_server_never_gives_is_not_waited_for_for_ever():
    machine = owner(server_responds=True)
    machine.ask("say", {})
    machine.turn_ended(5.0, ended_by_speech=False)
    assert not machine.may_create(7.9)
    assert machine.may_create(8.0)


def test_the_callers_turn_holds_nothing_when_the_server_does_not_answer_by_itself():
    machine = owner()
    machine.ask("say", {})
    machine.speech_started(0.0)
    machine.turn_ended(1.0, ended_by_speech=True)
    assert not machine.speaking
    assert machine.may_create(1.0)


def test_a_dropped_turn_is_nobodys_turn():
    machine = owner(server_responds=True)
    machine.ask("say", {})
    machine.speech_started(0.0)
    machine.turn_dropped()
    assert machine.may_create(0)


def test_a_plain_wish_is_fulfilled_by_the_servers_own_response_that_saw_the_news():
    machine = owner(server_responds=True)
    machine.speech_started(0.0)
    machine.reply({"item"})
    machine.ask("say", {})
    machine.acknowledged("item")
    machine.created("r", {}, unattached=False)
    assert machine.pending == 1


def test_a_plain_wish_is_kept_when_the_servers_response_may_not_have_seen_the_news():
    machine = owner(server_responds=True)
    machine.reply({"item"})
    machine.created("r", {}, unattached=False)
    assert machine.pending == 1


def test_a_response_under_another_tag_is_not_the_answer_to_ours():
    machine = owner()
    machine.ask("say", {})
    create(machine)
    machine.created("r", {"wish": "old-9"}, unattached=False)
    assert machine.outstanding


def test_without_echoed_tags_the_order_of_events_decides():
    machine = owner()
    tag = machine.ask("say", {})
    create(machine, now=2.0)
    assert machine.created("r", {}, unattached=False) == Created(2.0, wish=tag)


def test_without_echoed_tags_an_awaited_response_is_the_servers_own():
    machine = owner(server_responds=True)
    machine.ask("say", {})
    create(machine, now=2.0)
    machine.turn_ended(2.5, ended_by_speech=True)
    assert machine.created("r", {}, unattached=False) == Created(2.5)
    assert machine.outstanding


def test_once_a_server_echoes_tags_an_untagged_response_is_its_own():
    machine = owner()
    tag = machine.ask("say", {})
    create(machine)
    machine.created("r1", {"wish": tag}, unattached=False)
    machine.done("r1")
    machine.ask("say", {})
    create(machine, "e2")
    assert machine.created("r2", {}, unattached=False) == Created(None)
    assert machine.outstanding


def test_a_create_that_came_too_late_is_kept_and_sent_after_the_other_response():
    machine = owner()
    tag = machine.ask("say", {})
    create(machine, "e1")
    machine.created("server", {"wish": "x"}, unattached=False)
    machine.refused("e1", ALREADY_ACTIVE, 1.0)
    assert not machine.outstanding
    assert not machine.may_create(1.0)
    machine.done("server")
    assert create(machine, "e2", 2.0) == tag


def test_a_create_refused_because_of_a_response_we_never_saw_waits_for_its_end_or_a_while():
    machine = owner()
    machine.ask("say", {})
    create(machine, "e1")
    machine.refused("e1", ALREADY_ACTIVE, 1.0)
    assert not machine.may_create(1.0)
    assert machine.wake_s == 4.0
    machine.done("never seen")
    assert machine.may_create(1.5)


def test_a_refused_plain_wish_merges_with_the_one_that_waits():
    machine = owner()
    machine.reply({"a"})
    create(machine, "e1")
    machine.reply({"b"})
    machine.refused("e1", ALREADY_ACTIVE, 1.0)
    assert machine.pending == 1
    assert machine.may_create(9.0)
    assert machine.next_create("e2", 9.0).needs == {"a", "b"}


def test_a_refused_plain_wish_goes_back_to_the_front():
    machine = owner()
    machine.reply(set())
    create(machine, "e1")
    machine.ask("say", {})
    machine.refused("e1", ALREADY_ACTIVE, 1.0)
    assert create(machine, "e2", 9.0).startswith("reply")


def test_a_response_taken_for_ours_is_given_back_when_ours_is_refused():
    machine = owner()
    tag = machine.ask("say", {})
    create(machine, "e1")
    machine.created("really the server's", {}, unattached=False)
    machine.refused("e1", ALREADY_ACTIVE, 1.0)
    assert machine.pending == 1
    machine.done("really the server's")
    assert create(machine, "e2", 2.0) == tag


def test_already_active_without_an_event_id_is_about_our_create():
    machine = owner()
    machine.ask("say", {})
    create(machine, "e1")
    machine.refused("", ALREADY_ACTIVE, 1.0)
    assert machine.pending == 1


def test_a_response_that_is_over_cannot_be_refused_any_more():
    machine = owner()
    tag = machine.ask("say", {})
    create(machine, "e1")
    machine.created("r", {"wish": tag}, unattached=False)
    machine.done("r")
    machine.refused("", ALREADY_ACTIVE, 1.0)
    assert machine.pending == 0


def test_a_create_that_is_wrong_in_itself_is_not_tried_again():
    machine = owner()
    machine.ask("say", {})
    create(machine, "e1")
    machine.refused("e1", "invalid_value", 1.0)
    assert not machine.outstanding
    assert machine.pending == 0


def test_errors_about_other_events_change_nothing():
    machine = owner()
    machine.refused("e0", ALREADY_ACTIVE, 0.0)
    machine.ask("say", {})
    create(machine, "e1")
    machine.refused("e0", "invalid_value", 1.0)
    machine.refused("", "invalid_value", 1.0)
    assert machine.outstanding


def test_a_create_nobody_answers_is_given_up():
    machine = owner()
    machine.ask("say", {})
    machine.ask("say", {})
    create(machine, "e1", 0.0)
    assert not machine.may_create(9.9)
    assert machine.may_create(10.0)


def test_a_create_under_way_when_the_caller_interrupts_is_doomed():
    machine = owner()
    machine.doom()
    tag = machine.ask("say", {})
    create(machine, now=1.0)
    machine.doom()
    assert machine.created("r", {"wish": tag}, unattached=False) == Created(1.0, doomed=True, wish=tag)


def test_out_of_band_responses_take_no_turn():
    machine = owner()
    tag = machine.out_of_band()
    begun = machine.created("aside", {"wish": tag}, unattached=True)
    assert begun == Created(None, out_of_band=True, wish=tag)
    assert machine.active == ""


def test_an_out_of_band_response_without_a_tag_is_known_by_having_no_conversation():
    machine = owner()
    machine.out_of_band()
    assert machine.created("aside", {}, unattached=True).out_of_band
    assert not machine.created("next", {}, unattached=True).out_of_band


def test_forgotten_out_of_band_tags_are_bounded():
    machine = owner()
    first = machine.out_of_band()
    for _ in range(MAX_OUT_OF_BAND):
        machine.out_of_band()
    assert not machine.created("r", {"wish": first}, unattached=True).out_of_band


def test_the_end_of_another_response_leaves_the_active_one():
    machine = owner(server_responds=True)
    machine.created("r", {}, unattached=False)
    machine.done("other")
    assert machine.active == "r"


# --- the end of speech that never comes ---


def test_an_end_of_speech_the_server_never_tells_holds_a_wish_only_for_a_while():
    machine = owner(server_responds=True)
    machine.ask("say", {})
    machine.speech_started(5.0)
    assert not machine.may_create(34.9)
    assert machine.speaking
    assert machine.may_create(35.0)
    assert not machine.speaking


def test_a_late_response_of_the_server_does_not_end_the_callers_next_words():
    machine = owner(server_responds=True)
    machine.turn_ended(1.0, ended_by_speech=True)
    machine.speech_started(1.2)
    machine.created("r", {}, unattached=False)
    assert machine.speaking


def test_speech_is_known_also_where_the_server_does_not_answer_by_itself():
    machine = owner()
    machine.speech_started(0.0)
    assert machine.speaking
    machine.turn_ended(1.0, ended_by_speech=True)
    assert not machine.speaking


# --- a mere "go on" ---


def test_a_mere_go_on_is_served_by_any_response_heard_after_it():
    machine = owner()
    machine.created("r", {}, unattached=False)
    machine.reply(set(), news=False)
    machine.heard()
    assert machine.pending == 0


def test_audio_of_a_running_response_is_no_answer_to_news_or_to_words_of_their_own():
    machine = owner()
    machine.created("r", {}, unattached=False)
    machine.ask("say", {})
    machine.reply(set())
    machine.heard()
    assert machine.pending == 2


@pytest.mark.parametrize("first", [True, False])
def test_a_go_on_that_merged_with_news_is_no_mere_go_on(first):
    machine = owner()
    machine.created("r", {}, unattached=False)
    machine.reply(set(), news=first)
    machine.reply(set(), news=not first)
    machine.heard()
    assert machine.pending == 1


def test_a_go_on_with_items_the_server_does_not_have_yet_is_no_mere_go_on():
    machine = owner()
    machine.created("r", {}, unattached=False)
    machine.reply({"item"}, news=False)
    machine.acknowledged("item")
    machine.heard()
    assert machine.pending == 1


def test_a_go_on_refused_after_the_other_response_was_heard_is_not_asked_again():
    machine = owner()
    machine.reply(set(), news=False)
    create(machine, "e1")
    machine.created("r", {"wish": "x"}, unattached=False)
    machine.heard()
    assert machine.refused("e1", ALREADY_ACTIVE, 1.0) == ""
    assert machine.pending == 0


def test_words_refused_after_another_response_was_heard_are_kept():
    machine = owner()
    machine.ask("say", {})
    create(machine, "e1")
    machine.created("r", {"wish": "x"}, unattached=False)
    machine.heard()
    machine.refused("e1", ALREADY_ACTIVE, 1.0)
    assert machine.pending == 1


# --- refused and failed ---


def test_a_refused_wish_with_words_of_its_own_is_lost_by_name():
    machine = owner()
    tag = machine.ask("say", {})
    create(machine, "e1")
    assert machine.refused("e1", "invalid_value", 1.0) == tag


def test_a_refused_plain_wish_is_tried_once_more_after_a_while():
    machine = owner()
    machine.reply(set())
    tag = create(machine, "e1", 0.0)
    assert machine.refused("e1", "server_error", 1.0) == ""
    assert machine.wake_s == 2.0
    assert not machine.may_create(1.9)
    assert create(machine, "e2", 2.0) == tag
    assert machine.refused("e2", "server_error", 3.0) == tag
    assert machine.pending == 0


def test_a_refused_plain_wish_is_tried_once_more_at_the_next_end_of_a_response():
    machine = owner()
    machine.reply({"not acknowledged"})
    tag = create(machine, "e1", 0.0)
    machine.created("r", {"wish": "x"}, unattached=False)
    machine.refused("e1", "server_error", 1.0)
    machine.done("r")
    assert create(machine, "e2", 1.1) == tag


def test_a_wish_that_was_sent_can_be_asked_again_before_all_others():
    machine = owner()
    tag = machine.ask("greeting", {"instructions": "Say hello"})
    create(machine, "e1")
    machine.created("r", {"wish": tag}, unattached=False)
    machine.ask("say", {})
    machine.done("r")
    assert machine.again(tag)
    assert machine.may_create(1.0)
    wish = machine.next_create("e2", 1.0)
    assert (wish.tag, wish.response) == (tag, {"instructions": "Say hello"})


def test_asking_again_twice_is_asking_once():
    machine = owner()
    tag = machine.ask("say", {})
    create(machine, "e1")
    assert machine.again(tag)
    assert machine.pending == 0
    machine.refused("e1", "invalid_value", 1.0)
    assert machine.again(tag)
    assert machine.again(tag)
    assert machine.pending == 1


def test_only_the_last_wishes_and_only_those_with_words_of_their_own_are_remembered():
    machine = owner()
    tags = []
    for index in range(MAX_REMEMBERED + 1):
        tags.append(machine.ask("say", {}))
        create(machine, f"e{index}")
        machine.refused(f"e{index}", "invalid_value", 0.0)
    machine.reply(set())
    assert not machine.again(create(machine, "e"))
    assert [tag for tag in tags if not machine.again(tag)] == tags[:1]


def test_the_end_of_an_answer_whose_beginning_was_lost_ends_the_wait_for_it():
    machine = owner(server_responds=True)
    machine.ask("say", {})
    machine.turn_ended(1.0, ended_by_speech=True)
    machine.done("never seen")
    assert machine.may_create(1.5)
