"""Reads a certificate file and its key for network.py. Uses `cryptography`; files only."""

import itertools
import time
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from bridge.doctor.network import CertificateFacts


def read(certificate: Path, key: Path | None) -> CertificateFacts:
    """The first certificate of the file, the chain after it, and whether the key is its own. Never raises."""
    path = str(certificate)
    try:
        chain = x509.load_pem_x509_certificates(certificate.read_bytes())
    except OSError as error:
        return CertificateFacts(path, error=f"cannot be read: {error.strerror}")
    except ValueError:
        return CertificateFacts(path, error="holds no certificate (PEM)")
    leaf = chain[0]
    key_error, matches = _key(leaf, key) if key else ("", True)
    return CertificateFacts(
        path,
        not_before=leaf.not_valid_before_utc.timestamp(),
        not_after=leaf.not_valid_after_utc.timestamp(),
        names=_names(leaf),
        issuer=leaf.issuer.rfc4514_string(),
        self_signed=leaf.issuer == leaf.subject,
        chain_broken=_chain(chain),
        alone=len(chain) == 1,
        key_error=key_error,
        key_matches=matches,
        key_mode=_mode(key) if key else 0o600,
    )


def _names(leaf: x509.Certificate) -> tuple[str, ...]:
    try:
        names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(str(one.value) for one in leaf.subject.get_attributes_for_oid(NameOID.COMMON_NAME))
    addresses = names.get_values_for_type(x509.IPAddress)
    return (*names.get_values_for_type(x509.DNSName), *(str(one) for one in addresses))


def _chain(chain: list[x509.Certificate]) -> str:
    """Each signed by the next."""
    for below, above in itertools.pairwise(chain):
        try:
            below.verify_directly_issued_by(above)
        except (ValueError, TypeError, InvalidSignature):
            return "the certificates in it are no chain: one is not signed by the next"
        if above.not_valid_after_utc.timestamp() < time.time():
            return "an intermediate certificate of its chain has expired"
    return ""


def _key(leaf: x509.Certificate, path: Path) -> tuple[str, bool]:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        return f"its key {path} cannot be read: {error.strerror}", True
    except (ValueError, TypeError):
        return f"its key {path} is no PEM key, or has a password", True
    shape = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return "", key.public_key().public_bytes(*shape) == leaf.public_key().public_bytes(*shape)


def _mode(path: Path) -> int:
    try:
        return path.stat().st_mode
    except OSError:
        return 0o600
