from bridge.control_spent import SpentWishes


def test_tries_count_over_restarts_and_the_end_is_the_end(tmp_path):
    path = tmp_path / "spent"
    first = SpentWishes(path, 100.0)
    assert first.refuses("a", 1) == ""
    first.placed("a", 1e10)
    first.placed("b", 1e10)
    first.not_placed("b", 1e10)
    for spent in (first, SpentWishes(path, 100.0)):
        assert "1 times" in spent.refuses("a", 1)
        assert (spent.refuses("a", 2), spent.refuses("b", 1)) == ("", "")
    first.over("b", 1e10)
    assert "over" in SpentWishes(path, 100.0).refuses("b", 9)
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_is_old_or_half_written_is_forgotten_and_the_file_stays_small(tmp_path):
    path = tmp_path / "spent"
    path.write_text("1 p old\n9999999999 p new\nrubbish\n99999999999999999 p other\n12 o ne")
    spent = SpentWishes(path, 100.0)
    assert spent.refuses("old", 1) == ""
    assert spent.refuses("new", 1)
    assert not spent.refuses("new", 2)
    assert len(path.read_text().splitlines()) == 2
    spent = SpentWishes(path, 100.0, max_lines=3)
    for number in range(30):
        spent.placed(f"j{number}", 1e12 + 1000.0 * number)
    assert len(path.read_text().splitlines()) < 10
    assert spent.refuses("j29", 1)
