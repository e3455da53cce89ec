"""Until when the certificate of the edge is valid, for the banner that says so in time. Reads one file."""

from pathlib import Path

from cryptography import x509


def valid_until(path: Path) -> float | None:
    """Unix seconds, of the first to expire of the file's certificates; None: there is none that can be read."""
    try:
        chain = x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError):
        return None
    return min((one.not_valid_after_utc.timestamp() for one in chain), default=None)
