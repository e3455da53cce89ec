"""The folder of a running edge: what Kamailio and rtpengine read, and the socket by which Kamailio is asked.

    STATE/edge                    started by an ordinary user: a folder
    STATE/edge ──link──► /run/sipbridge-edge-…   started by root: Kamailio's own user must get at it, whoever owns STATE

Files hold passwords' hashes and keys: 0600, of the user that reads them. The supervisor removes the folder when all it
started has stopped; one that was killed leaves it for the next start, which goes on in it. Shell: files only.
"""

import contextlib
import hashlib
import os
import pwd
import secrets
import tempfile
from pathlib import Path

from bridge.edge.tables import HTABLES, htable, table_versions
from bridge.errors import EdgeError
from bridge.pool.tidy import tidy
from bridge.settings import Settings

SECRET_BYTES = 16
RUN = Path("/run")


class EdgeFolder:
    """`path` is the folder itself (given: exactly that one), `owner` the user id Kamailio has, None: ours."""

    def __init__(self, settings: Settings, path: Path | None = None) -> None:
        self._settings = settings
        self.path = path or settings.state_dir / "edge"
        self.owner: int | None = None
        if os.geteuid() == 0 and path is None:
            self.owner = user_id(settings.edge.user)
            name = hashlib.sha256(str(settings.state_dir).encode()).hexdigest()[:12]
            self.path = RUN / f"sipbridge-edge-{name}"

    def make(self) -> None:
        """Make it, with empty tables where there are none. Raises OSError."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.path / "tables").mkdir(exist_ok=True, mode=0o700)
        (self.path / "tls").mkdir(exist_ok=True, mode=0o700)
        if self.owner is not None:
            link = self._settings.state_dir / "edge"
            if not link.is_symlink() or link.readlink() != self.path:
                with contextlib.suppress(FileNotFoundError):
                    link.unlink()
                link.symlink_to(self.path)
            for folder in (self.path, self.path / "tables", self.path / "tls"):
                os.chown(folder, self.owner, -1)
            self.path.chmod(0o711)  # rtpengine's user reads its one file
        self.write("tables/version", table_versions())
        for name in HTABLES:
            if not (self.path / "tables" / name).exists():
                self.write(f"tables/{name}", htable({}))

    def write(self, name: str, text: str, mode: int = 0o600) -> bool:
        """Put a file there, whole or not at all; whether it is another one than before. Raises OSError."""
        path = self.path / name
        with contextlib.suppress(OSError, UnicodeDecodeError):
            if path.read_text(encoding="utf-8") == text:
                return False
        handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=".")
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
                os.fchmod(file.fileno(), mode)
                if self.owner is not None:
                    os.fchown(file.fileno(), self.owner, -1)
            Path(fresh).replace(path)
        except BaseException:
            Path(fresh).unlink(missing_ok=True)
            raise
        return True

    def copy_tls(self) -> bool:
        """Copy certificate, key and CA to where Kamailio may read them; whether any has changed.

        Raises EdgeError when one cannot be read.
        """
        tls = self._settings.edge.tls
        if tls is None:
            return False
        changed = False
        for name, source in (("cert.pem", tls.certificate), ("key.pem", tls.key), ("ca.pem", tls.ca)):
            if source is None:
                continue
            try:
                changed |= self.write(f"tls/{name}", source.read_text(encoding="utf-8"))
            except (OSError, UnicodeDecodeError) as error:
                raise EdgeError(f"edge.tls: {source} cannot be read: {error}") from error
        return changed

    @property
    def leftovers(self) -> tuple[str, ...]:
        """The folder, with all hashes and keys in it, and the link to it: nobody needs them when the bridge is over."""
        link = self._settings.state_dir / "edge"
        return (str(self.path), str(link)) if self.owner is not None else (str(self.path),)

    def remove(self) -> None:
        """All of it, as the supervisor does at the end."""
        tidy(self.leftovers)


def user_id(name: str) -> int:
    """Of a user by name. Raises EdgeError."""
    try:
        return pwd.getpwnam(name).pw_uid
    except KeyError:
        hint = "install the Debian package, or name another user in edge.user and edge.media_user"
        raise EdgeError(f"there is no user {name}: {hint}") from None


def edge_secret(state_dir: Path) -> str:
    """What signs our Record-Route and hides addresses: made once, the same after every restart. Raises OSError."""
    path = state_dir / "keys" / "edge.key"
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(FileExistsError):
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(SECRET_BYTES))
    return path.read_text(encoding="ascii").strip()
