"""Where a secret comes from: the environment, a file, or systemd's credentials. One answer for everybody who needs one.

    NAME=value                       the environment itself
    NAME_FILE=/run/secrets/name      a file that holds it (Docker, Kubernetes)
    $CREDENTIALS_DIRECTORY/NAME      systemd's LoadCredential= (systemd.exec(5), CREDENTIALS)

`Secrets` is a Mapping like os.environ, so whoever is given "the environment that holds the keys" is given this. A file
is read again each time: a changed secret counts from the next use on. No value is ever in an error or a log line.
Standard library only. Reads files; any thread.
"""

import stat
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

CREDENTIALS = "CREDENTIALS_DIRECTORY"
FILE_SUFFIX = "_FILE"
MAX_BYTES = 64 * 1024
"""A longer file is no secret: somebody named the wrong one."""


class Secrets(Mapping[str, str]):
    """`environ` with the secrets that lie in files. The order is the one above; an empty value counts as none."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def __getitem__(self, name: str) -> str:
        value = self._environ.get(name)
        if value:
            return value
        for path in self._paths(name):
            found = _read(path)
            if isinstance(found, str) and found:
                return found
        if value is None:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._environ)

    def __len__(self) -> int:
        return len(self._environ)

    def why_missing(self, name: str) -> str:
        """Why there is no value of this name, with every place that was looked at; "" when there is one."""
        file = self._environ.get(name + FILE_SUFFIX)
        if file and self._environ.get(name):
            return f"{name} and {name}{FILE_SUFFIX} are both set: nobody can tell which one counts"
        if self.get(name):
            return ""
        if file:
            found = _read(Path(file))
            why = (
                f"cannot be read: {found.strerror}" if isinstance(found, OSError) else "is empty or too long"
            )
            return f"{name}{FILE_SUFFIX} names {file}, which {why}"
        folder = self._environ.get(CREDENTIALS)
        last = f"{folder} ({CREDENTIALS}) holds no {name}" if folder else f"{CREDENTIALS} is not set"
        return f"the environment variable {name} is not set, neither is {name}{FILE_SUFFIX}, and {last}"

    def too_open(self, names: Iterable[str]) -> list[str]:
        """A sentence for each file of these secrets that every account of this machine can read or write."""
        found = []
        for name in dict.fromkeys(names):
            for path in () if self._environ.get(name) else self._paths(name):
                mode = _mode(path)
                if mode & 0o007:
                    found.append(f"{path} ({name}) can be read by every account: chmod 600 {path}")
                    break
        return found

    def _paths(self, name: str) -> list[Path]:
        file, folder = self._environ.get(name + FILE_SUFFIX), self._environ.get(CREDENTIALS)
        return [*([Path(file)] if file else []), *([Path(folder, name)] if folder else [])]


def _read(path: Path) -> str | OSError:
    """The text without the line ends that editors add; "" for what can be no secret."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        return error
    except ValueError:  # a name with a NUL byte
        return ""
    try:
        return "" if len(data) > MAX_BYTES else data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return ""


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except (OSError, ValueError):
        return 0
