from hypothesis import given
from hypothesis import strategies as st

from bridge.call.keypad import Keypad


def test_digits_are_gathered_until_the_caller_pauses():
    keypad = Keypad(gap_s=1.5)
    assert keypad.press("1", 10.0) is None
    assert keypad.press("2", 11.0) is None
    assert keypad.due_s == 12.5
    assert keypad.poll(12.4) is None
    assert keypad.poll(12.5) == "12"
    assert keypad.due_s is None
    assert keypad.poll(20.0) is None


def test_the_pound_key_ends_an_entry_and_is_no_part_of_it():
    keypad = Keypad()
    keypad.press("4", 0.0)
    keypad.press("2", 0.1)
    assert keypad.press("#", 0.2) == "42"
    assert keypad.due_s is None


def test_the_pound_key_alone_is_an_entry():
    assert Keypad().press("#", 0.0) == "#"


def test_a_star_is_a_digit_like_others():
    keypad = Keypad()
    keypad.press("*", 0.0)
    assert keypad.press("#", 0.0) == "*"


def test_an_entry_of_full_length_is_complete_at_once():
    keypad = Keypad(max_digits=3)
    assert [keypad.press(digit, 0.0) for digit in "1234"] == [None, None, "123", None]


@given(st.lists(st.tuples(st.sampled_from("0123456789*#ABCD"), st.floats(0, 5))), st.integers(1, 8))
def test_no_digit_is_lost_or_told_twice(presses, max_digits):
    keypad, now, told = Keypad(1.5, max_digits), 0.0, []
    for digit, pause_s in presses:
        now += pause_s
        told.append(keypad.poll(now))
        told.append(keypad.press(digit, now))
    told.append(keypad.poll(now + 1.5))
    entries = [entry for entry in told if entry]
    assert all(len(entry) <= max_digits for entry in entries)
    pressed = "".join(digit for digit, _ in presses)
    assert "".join(entries).replace("#", "") == pressed.replace("#", "")
    assert keypad.due_s is None
