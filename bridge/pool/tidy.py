"""What a bridge takes away when everything it started has stopped. Standard library only: the supervisor's last act."""

import contextlib
from collections.abc import Iterable
from pathlib import Path


def tidy(paths: Iterable[str]) -> None:
    """Remove files, links and folders with all in them; what is not there or cannot be removed stays so.

    Of a link only the link: where it leads is named by itself.
    """
    for path in map(Path, paths):
        if path.is_dir() and not path.is_symlink():
            import shutil  # noqa: PLC0415  # the supervisor has no use for it before

            shutil.rmtree(path, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                path.unlink()
