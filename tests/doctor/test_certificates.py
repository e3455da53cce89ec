"""Certificates made here, right and wrong ones."""

import datetime as dt
import ipaddress

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bridge.doctor.certificates import read

NOW = dt.datetime.now(dt.UTC)


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def made(subject, issuer, key, signer, *, days=90, names=()):
    ca = x509.BasicConstraints(ca=not names, path_length=None)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(subject))
        .issuer_name(name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - dt.timedelta(days=100))
        .not_valid_after(NOW + dt.timedelta(days=days))
        .add_extension(ca, critical=True)
    )
    if names:
        alternative = [x509.DNSName(one) for one in names] + [
            x509.IPAddress(ipaddress.ip_address("10.0.0.5"))
        ]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternative), critical=False)
    return builder.sign(signer, hashes.SHA256())


def pem(*certificates):
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)


@pytest.fixture
def pair(tmp_path):
    """A leaf with its chain and key; `write` puts other bytes in their place."""
    root, key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    above = made("root", "root", root, root)
    leaf = made("leaf", "root", key, root, names=("sip.example.com",))
    plain = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)

    class Pair:
        certificate, key_file = tmp_path / "c.pem", tmp_path / "k.pem"
        chain, leaf_only = pem(leaf, above), pem(leaf)
        expired = pem(leaf, made("root", "root", root, root, days=-1))
        wrong = pem(leaf, made("other", "other", other, other))
        own = pem(made("me", "me", key, key))
        right_key = key.private_bytes(*plain, serialization.NoEncryption())
        other_key = other.private_bytes(*plain, serialization.NoEncryption())
        locked_key = key.private_bytes(*plain, serialization.BestAvailableEncryption(b"x"))

        def read(self, certificate=None, key=None):
            self.certificate.write_bytes(self.chain if certificate is None else certificate)
            self.key_file.write_bytes(self.right_key if key is None else key)
            self.key_file.chmod(0o600)
            return read(self.certificate, self.key_file)

    return Pair()


def test_a_right_pair_is_read_with_its_names_and_times(pair):
    facts = pair.read()
    assert (facts.error, facts.key_error, facts.chain_broken) == ("", "", "")
    assert facts.names == ("sip.example.com", "10.0.0.5")
    assert (facts.key_matches, facts.self_signed, facts.alone) == (True, False, False)
    assert 89 < (facts.not_after - NOW.timestamp()) / 86400 < 91
    assert facts.key_mode & 0o777 == 0o600


def test_what_is_wrong_with_a_pair_is_seen(pair):
    assert pair.read(certificate=b"x").error == "holds no certificate (PEM)"
    assert pair.read(certificate=pair.leaf_only).alone
    assert "no chain" in pair.read(certificate=pair.wrong).chain_broken
    assert "has expired" in pair.read(certificate=pair.expired).chain_broken
    own = pair.read(certificate=pair.own)
    assert (own.self_signed, own.names) == (True, ("me",))
    assert not pair.read(key=pair.other_key).key_matches
    assert "has a password" in pair.read(key=pair.locked_key).key_error
    assert "is no PEM key" in pair.read(key=b"x").key_error


def test_files_that_are_not_there_are_named(pair, tmp_path):
    assert read(tmp_path / "gone", None).error == "cannot be read: No such file or directory"
    pair.read()
    assert "cannot be read" in read(pair.certificate, tmp_path / "gone").key_error
