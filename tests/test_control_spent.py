from bridge.control_spent import SpentWishes

NOW = 1e9


def test_tries_count_over_restarts_and_the_end_is_the_end(tmp_path):
    path = tmp_path / "spent"
    first = SpentWishes(path, 100.0)
    assert first.refuses("a", 1, NOW) == ""
    first.placed("a", NOW)
    first.placed("b", NOW)
    first.not_placed("b", NOW)
    for spent in (first, SpentWishes(path, 100.0)):
        assert "1 times" in spent.refuses("a", 1, NOW)
        assert (spent.refuses("a", 2, NOW), spent.refuses("b", 1, NOW)) == ("", "")
    first.over("b", NOW)
    assert "over" in SpentWishes(path, 100.0).refuses("b", 9, NOW)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_old_or_half_written_is_forgotten_and_the_file_stays_small(tmp_path):
    path = tmp_path / "spent"
    path.write_text("1 p old\n999999950 p new\nrubbish\n1000000000 p other\n12 o ne")
    spent = SpentWishes(path, 100.0)
    assert spent.refuses("old", 1, NOW) == ""
    assert spent.refuses("new", 1, NOW)
    assert not spent.refuses("new", 2, NOW)
    assert len(path.read_text().splitlines()) == 2
    spent = SpentWishes(path, 100.0, max_lines=3)
    for number in range(30):
        spent.placed(f"j{number}", NOW + 1000.0 * number)
    assert len(path.read_text().splitlines()) < 10
    assert spent.refuses("j29", 1, NOW + 29_000)
