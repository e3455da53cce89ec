"""QR codes are those of another encoder: PyPI's qrcode 8.2, level M, byte mode, mask 0, by the picture's SHA-256."""

import hashlib

import pytest

from bridge.console.qr import QUIET, modules, svg_path

WORDS = "otpauth://totp/" + "aZ3" * 80


@pytest.mark.parametrize(
    ("length", "version", "digest"),
    [
        (1, 1, "c2be843253d3ced8e2318c3a"),
        (26, 2, "f681d2a14feccad9bfbfc4b1"),
        (40, 3, "c90478b2cb0a786289d73c90"),
        (60, 4, "7f19dc84de0a7e45a67f8b84"),
        (84, 5, "9a77c8a7faac3e117061ca29"),
        (106, 6, "a3181478a3dd0141eb11fe1e"),
        (122, 7, "ec490fb9086f8a6f5d13d068"),
        (152, 8, "2bf8949520c91809702b9fd3"),
        (180, 9, "6c5bad455b08eda7a35d1e52"),
        (213, 10, "8ef5e1108ea32aa27e636894"),
    ],
)
def test_it_is_the_picture_that_another_encoder_makes(length, version, digest):
    rows = modules(WORDS[:length])
    assert len(rows) == 17 + 4 * version
    picture = "\n".join("".join("#" if dark else "." for dark in row) for row in rows)
    assert hashlib.sha256(picture.encode()).hexdigest()[:24] == digest


def test_what_is_too_long_is_refused():
    assert len(modules("x" * 213)) == 57
    with pytest.raises(ValueError, match="too long"):
        modules("x" * 214)


def test_as_a_path_each_dark_module_is_a_square_inside_a_quiet_zone():
    assert (
        svg_path([[True, False], [False, True]])
        == f"M{QUIET},{QUIET}h1v1h-1zM{QUIET + 1},{QUIET + 1}h1v1h-1z"
    )
