"""A certificate is its member's, or it is refused."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from blake3 import blake3
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from meerkat.transport import identity as subject
from meerkat.transport.base import PeerNotTrusted
from meerkat.transport.identity import TlsIdentity, fingerprint, member_of

ALICE = Ed25519PrivateKey.from_private_bytes(b"a" * 32)
MALLORY = Ed25519PrivateKey.from_private_bytes(b"m" * 32)
GENUINE = TlsIdentity.create(ALICE)


def voucher_of(certificate: bytes) -> bytes:
    extensions = x509.load_der_x509_certificate(certificate).extensions
    voucher = extensions.get_extension_for_oid(subject.MEMBER_EXTENSION).value
    assert isinstance(voucher, x509.UnrecognizedExtension)
    return voucher.value[2:]


def forged(voucher: Callable[[ec.EllipticCurvePrivateKey], bytes]) -> bytes:
    """A well-formed certificate in Alice's name with a TLS key of Mallory's."""
    tls_key = ec.generate_private_key(ec.SECP256R1())
    return subject._certificate(tls_key, GENUINE.member, voucher(tls_key))


def raw(key: Ed25519PrivateKey) -> bytes:
    return key.public_key().public_bytes_raw()


def spki(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def without_extension() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    genuine = x509.load_der_x509_certificate(GENUINE.certificate_der)
    builder = x509.CertificateBuilder(genuine.issuer, genuine.subject, key.public_key(), 1)
    builder = builder.not_valid_before(genuine.not_valid_before_utc)
    builder = builder.not_valid_after(genuine.not_valid_after_utc)
    signed = builder.sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


def able_to_issue() -> bytes:
    """Mallory's own voucher is right, but the certificate may issue others."""
    key = ec.generate_private_key(ec.SECP256R1())
    genuine = x509.load_der_x509_certificate(GENUINE.certificate_der)
    builder = x509.CertificateBuilder(genuine.issuer, genuine.subject, key.public_key(), 1)
    builder = builder.not_valid_before(genuine.not_valid_before_utc)
    builder = builder.not_valid_after(genuine.not_valid_after_utc)
    builder = builder.add_extension(x509.BasicConstraints(True, None), critical=True)
    value = b"\x04\x60" + raw(ALICE) + ALICE.sign(subject._signed(key.public_key()))
    extension = x509.UnrecognizedExtension(subject.MEMBER_EXTENSION, value)
    signed = builder.add_extension(extension, critical=False).sign(key, hashes.SHA256())
    return signed.public_bytes(serialization.Encoding.DER)


FORGERIES: dict[str, Callable[[], bytes]] = {
    "signed by another member": lambda: forged(
        lambda key: raw(ALICE) + MALLORY.sign(subject._signed(key.public_key()))
    ),
    "voucher copied from the genuine one": lambda: forged(
        lambda key: voucher_of(GENUINE.certificate_der)
    ),
    "voucher without our domain": lambda: forged(
        lambda key: raw(ALICE) + ALICE.sign(blake3(spki(key)).digest())
    ),
    "voucher with a tail": lambda: forged(
        lambda key: raw(ALICE) + ALICE.sign(subject._signed(key.public_key())) + b"x"
    ),
    "no voucher": without_extension,
    "may issue others": able_to_issue,
    "bytes after the end": lambda: GENUINE.certificate_der + b"\x00",
    "cut short": lambda: GENUINE.certificate_der[:-1],
    "one bit of its signature changed": lambda: (
        GENUINE.certificate_der[:-1] + bytes((GENUINE.certificate_der[-1] ^ 1,))
    ),
    "empty": bytes,
}


def test_a_certificate_says_whose_it_is() -> None:
    assert member_of(GENUINE.certificate_der) == raw(ALICE) == GENUINE.member
    assert fingerprint(GENUINE.certificate_der) == blake3(GENUINE.certificate_der).digest()
    assert len(GENUINE.certificate_der) < 700


@pytest.mark.parametrize("forgery", FORGERIES)
def test_forgeries_are_refused(forgery: str) -> None:
    with pytest.raises(PeerNotTrusted):
        member_of(FORGERIES[forgery]())


def test_the_right_voucher_is_all_that_forgeries_lack() -> None:
    right = forged(lambda key: raw(ALICE) + ALICE.sign(subject._signed(key.public_key())))
    assert member_of(right) == raw(ALICE)


def test_a_stored_identity_comes_back() -> None:
    assert TlsIdentity.from_bytes(GENUINE.to_bytes()) == GENUINE
    assert "PRIVATE" not in repr(GENUINE)


def test_a_damaged_identity_is_refused() -> None:
    stored = GENUINE.to_bytes()
    other = TlsIdentity.create(ALICE)
    mixed = TlsIdentity(GENUINE.member, GENUINE.certificate_der, other.key_pem).to_bytes()
    for damaged in (b"", stored[:10], stored[:100], stored[:-1], b"x" + stored, mixed):
        with pytest.raises(ValueError, match="identity"):
            TlsIdentity.from_bytes(damaged)
