"""pjsua2's own extension module opened a second time, for C functions it exports but does not wrap.

PyDLL keeps the GIL during a call: the calls take microseconds, and giving the GIL away in each would cost a
switch interval
whenever the loop is busy. It cannot deadlock because no thread of pjlib asks for the GIL while it holds a lock
these functions take (pjsua2's callbacks are queued to the pj thread, pjlib's log goes to a file).
"""

import ctypes
from collections.abc import Mapping
from pathlib import Path
from typing import Any

POINTER = ctypes.c_void_p
Signatures = Mapping[str, tuple[Any, list[Any]]]


def open_library(extension: Path, signatures: Signatures) -> ctypes.PyDLL:
    """The library with its functions typed: name -> (result, arguments).

    Raises OSError or AttributeError when the file or a function is not there.
    """
    library = ctypes.PyDLL(str(extension))
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype = result
        function.argtypes = arguments
    return library
