from bridge.doctor.flawtable import read


def test_the_flaws_of_the_wheel_that_is_installed_are_in_the_table():
    _, table = read()
    ours = {one.flaw_id for one in table if one.component == "pjproject"}
    assert {"CVE-2026-28799", "CVE-2026-33069", "CVE-2026-41416", "CVE-2026-57162"} <= ours
