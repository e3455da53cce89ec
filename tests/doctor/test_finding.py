from bridge.doctor.finding import SECTIONS, Finding, Level, ordered, worst


def test_findings_are_shown_by_section_and_the_worst_of_a_section_first():
    found = [
        Finding("zones", Level.OK, "a"),
        Finding("settings", Level.OK, "b"),
        Finding("settings", Level.FAIL, "c", "do"),
    ]
    assert [one.text for one in ordered(found)] == ["c", "b", "a"]
    assert worst(found) is Level.FAIL
    assert worst([]) is Level.OK


def test_a_finding_is_json_with_words_for_levels():
    assert Finding("disk", Level.WARN, "full", "make room").to_json() == {
        "section": "disk", "level": "warn", "text": "full", "do": "make room",
    }  # fmt: skip
    assert len(SECTIONS) == 19
