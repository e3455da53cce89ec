"""Until when a certificate file is good."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.control_certificate import valid_until

NOW = datetime(2026, 11, 29, tzinfo=UTC)


def certificate(days):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edge.example")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=days))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM)


def test_the_first_of_a_chain_to_expire_counts(tmp_path):
    path = tmp_path / "chain.pem"
    path.write_bytes(certificate(90) + certificate(30))
    assert valid_until(path) == (NOW + timedelta(days=30)).timestamp()


def test_a_file_that_is_none_tells_nothing(tmp_path):
    assert valid_until(tmp_path / "nothing.pem") is None
    (tmp_path / "odd.pem").write_text("no certificate")
    assert valid_until(tmp_path / "odd.pem") is None
