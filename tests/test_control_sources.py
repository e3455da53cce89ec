import os

from bridge.control_sources import read_sources


def test_the_texts_and_a_fingerprint_that_only_contents_change(tmp_path):
    (tmp_path / "a.yaml").write_text("one")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.txt").write_text("two")
    first = read_sources(tmp_path)
    assert first.texts == {"a.yaml": "one"}
    os.utime(tmp_path / "a.yaml", (1, 1))
    (tmp_path / "new").write_text("one")
    (tmp_path / "new").replace(tmp_path / "a.yaml")
    assert read_sources(tmp_path) == first
    (tmp_path / "a.yaml").write_text("One")
    assert read_sources(tmp_path).fingerprint != first.fingerprint


def test_a_file_more_or_less_or_under_another_name_is_a_change(tmp_path):
    (tmp_path / "a.yaml").write_text("one")
    seen = {read_sources(tmp_path).fingerprint}
    (tmp_path / "b.yaml").write_text("")
    seen.add(read_sources(tmp_path).fingerprint)
    (tmp_path / "b.yaml").rename(tmp_path / "c.yaml")
    seen.add(read_sources(tmp_path).fingerprint)
    assert len(seen) == 3


def test_sounds_count_but_are_no_texts_and_what_editors_leave_behind_is_nothing(tmp_path):
    (tmp_path / "a.yaml").write_text("one")
    first = read_sources(tmp_path)
    for name in (".a.yaml.swp", "a.yaml~", "notes.bak"):
        (tmp_path / name).write_text("x")
    assert read_sources(tmp_path) == first
    (tmp_path / "hello.wav").write_bytes(b"\xff")
    second = read_sources(tmp_path)
    assert (second.texts, second.fingerprint != first.fingerprint) == (first.texts, True)


def test_of_a_single_file_only_that_file_counts(tmp_path):
    (tmp_path / "a.yaml").write_text("one")
    first = read_sources(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").write_text("two")
    assert read_sources(tmp_path / "a.yaml") == first
    assert first.texts == {"a.yaml": "one"}
    (tmp_path / "a.yaml").unlink()
    assert read_sources(tmp_path / "a.yaml").fingerprint != first.fingerprint


def test_only_the_texts_of_plans_and_prompts_are_kept_the_rest_only_counts(tmp_path):
    names = ("a.yaml", "sub/b.yml", "prompts/desk.md", "sub/prompts/_bits.md")
    others = ("customers.csv", "dnc.txt", "keys.json", "prompts/list.csv", "README.md")
    for name in (*names, *others):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    first = read_sources(tmp_path)
    assert sorted(first.texts) == sorted(names)
    (tmp_path / "dnc.txt").write_text("+49301")
    assert read_sources(tmp_path).fingerprint != first.fingerprint
