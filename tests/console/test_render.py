"""Templates escape everything; what cannot be seen is shown; files are those of their packages."""

import hashlib
import re

import pytest
from markupsafe import Markup

from bridge.console.render import Renderer, visible

VENDORED = {
    "htmx.min.js": "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717",
    "htmx-ext-sse.min.js": "98a46496de0c3605fbffdce9167ba427bdd9553184f83f149c261891a92c0136",
}


@pytest.fixture(scope="module")
def renderer():
    return Renderer("/console")


def error(renderer, message):
    return renderer.page("error.html", {"status": 400, "message": message, "user": None, "csrf": ""})


def test_what_comes_from_outside_is_text(renderer):
    page = error(renderer, "<script>alert(1)</script>\"'")
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;" in page


def test_marks_that_turn_text_around_are_shown(renderer):
    assert "40\N{REPLACEMENT CHARACTER}DSU" in error(renderer, "40\u202eDSU")
    assert visible("a\u200bb\x1b[0m\nc") == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}[0m\nc"
    assert visible("ä 李 🙂") == "ä 李 🙂"


def test_nothing_is_forgotten_in_silence(renderer):
    with pytest.raises(Exception, match="message"):
        renderer.page("error.html", {"status": 400, "user": None, "csrf": ""})


def test_vendored_files_are_as_they_were_published(renderer):
    assert {name: hashlib.sha256(renderer.files[name][1]).hexdigest() for name in VENDORED} == VENDORED


def test_every_file_has_a_type_and_its_content_in_its_address(renderer):
    assert set(renderer.files) >= {*VENDORED, "console.js", "console.css", "icon.svg"}
    page = error(renderer, "x")
    for name in ("console.css", "htmx.min.js"):
        version = hashlib.sha256(renderer.files[name][1]).hexdigest()[:12]
        assert f"/console/static/{version}/{name}" in page


def test_pages_have_no_script_or_style_of_their_own(renderer):
    """The policy (CSP) would not run it."""
    page = error(renderer, Markup("x"))
    assert re.findall(r"<script(?![^>]* src=)[^>]*>|<style|\son\w+=|\sstyle=|javascript:", page) == []


def test_whoever_looks_first_does_not_wait_for_a_template_to_be_compiled():
    Renderer("/console").warm()
    warm = Renderer("/console")
    warm._environment.compile = None  # what is compiled is loaded
    assert "wrong" in error(warm, "wrong")
