from datetime import date

from bridge.dialplan import load

PLAN = """version: 1
hours: {{office: {{timezone: Europe/Berlin, week: {{mon: ["09:00-18:00"]}}, holidays: [{}]}}}}
routes:
- {{name: day, when: {{hours: office}}, do: [{{hang_up: {{}}}}]}}
- {{name: night, do: [{{hang_up: {{}}}}]}}
"""


def warned(tmp_path, holidays, today):
    file = tmp_path / "p.yaml"
    file.write_text(PLAN.format(", ".join(f'"{one}"' for one in holidays)))
    return [f"{one.line}: {one.key}: {one.message}" for one in load.inspect(file, today=today).warnings]


MONDAYS = [date.fromordinal(date(2026, 11, 23).toordinal() + 7 * week).isoformat() for week in range(54)]


def test_hours_that_do_not_open_for_a_year_are_odd(tmp_path):
    (found,) = warned(tmp_path, MONDAYS, date(2026, 11, 20))
    assert (
        found
        == "2: hours.office.holidays: not open once in the year from 2026-11-20: its windows all fall on holidays"
    )
    assert warned(tmp_path, MONDAYS[:20], date(2026, 11, 20)) == []


def test_holidays_that_are_all_over_are_odd(tmp_path):
    assert warned(tmp_path, ["2025-12-25", "2026-01-01"], date(2026, 11, 20)) == [
        "2: hours.office.holidays: all holidays are over, the last was 2026-01-01"
    ]
    assert warned(tmp_path, ["2025-12-25", "2026-12-25"], date(2026, 11, 20)) == []
    assert warned(tmp_path, [], date(2026, 11, 20)) == []
