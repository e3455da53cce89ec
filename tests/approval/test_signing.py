import stat

import pytest

from bridge.approval.signing import AUDIT_PUBLIC, DECISION_KEY, Signer, Verifier, seal, sealed, secret
from bridge.errors import StoreError

WORDS = {"by": "anna", "verdict": "approve", "binding": "b"}


def test_a_signature_is_known_by_the_public_key_alone(tmp_path):
    signer = Signer(tmp_path)
    verifier = Verifier(tmp_path / AUDIT_PUBLIC)
    signature = signer.sign("abc")
    assert verifier.verify(signer.key_id, "abc", signature)
    assert not verifier.verify(signer.key_id, "abd", signature)
    assert not verifier.verify("other", "abc", signature)
    assert not verifier.verify(signer.key_id, "abc", "no hex")


def test_the_key_is_kept_and_only_ours_to_read(tmp_path):
    assert Signer(tmp_path).key_id == Signer(tmp_path).key_id
    assert stat.S_IMODE((tmp_path / "audit.key").stat().st_mode) == 0o600


def test_after_a_change_of_keys_the_old_signatures_still_hold(tmp_path):
    old = Signer(tmp_path)
    (tmp_path / "audit.key").unlink()
    new = Signer(tmp_path)
    verifier = Verifier(tmp_path / AUDIT_PUBLIC)
    assert old.key_id != new.key_id
    assert all(verifier.verify(one.key_id, "x", one.sign("x")) for one in (old, new))


@pytest.mark.parametrize("content", [None, "", "zz\n"])
def test_a_file_without_public_keys_is_said(tmp_path, content):
    path = tmp_path / "keys.pub"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StoreError, match="public key"):
        Verifier(path)


def test_a_key_file_that_is_none_is_said(tmp_path):
    (tmp_path / DECISION_KEY).write_bytes(b"short")
    with pytest.raises(StoreError, match="is no key"):
        secret(tmp_path / DECISION_KEY)


@pytest.mark.parametrize(
    "forged",
    [
        {**WORDS, "by": "bert"},
        {**WORDS, "verdict": "deny"},
        {**WORDS, "binding": "c"},
        {**WORDS, "arguments": {"amount": 9}},
    ],
)
def test_a_seal_fits_exactly_what_was_sealed(forged):
    right = seal(b"k", "r1", WORDS)
    assert sealed(b"k", "r1", {**WORDS, "seal": right})
    assert not sealed(b"k", "r1", {**forged, "seal": right})
    assert not sealed(b"k", "r2", {**WORDS, "seal": right})
    assert not sealed(b"x", "r1", {**WORDS, "seal": right})
    assert not sealed(b"k", "r1", WORDS)
    assert not sealed(b"k", "r1", {**WORDS, "seal": None, "odd": {1, 2}})
