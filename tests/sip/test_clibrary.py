import ctypes
from pathlib import Path

import pytest

from bridge.sip.clibrary import open_library


def test_functions_get_their_types():
    library = open_library(Path("libc.so.6"), {"labs": (ctypes.c_long, [ctypes.c_long])})
    assert library.labs(-(2**40)) == 2**40
    with pytest.raises(ctypes.ArgumentError):
        library.labs("x")


def test_a_missing_function_or_file_is_an_error_at_once():
    with pytest.raises(AttributeError):
        open_library(Path("libc.so.6"), {"no_such_function": (None, [])})
    with pytest.raises(OSError, match="no_such_file"):
        open_library(Path("/no_such_file.so"), {})
