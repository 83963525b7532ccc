"""Who a TLS certificate is: a P-256 key vouched for by a member's Ed25519 key.

gRPC's TLS does not take Ed25519 certificates (measured), so each member has a P-256 key for TLS in
a self-signed certificate, and one extension in which the member's key signs that TLS key, as the
libp2p TLS specification does. The certificate's names and dates mean nothing.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from datetime import datetime

from blake3 import blake3
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from meerkat.core.ids import MemberId
from meerkat.transport.base import PeerNotTrusted

__all__ = ["MEMBER_EXTENSION", "TlsIdentity", "fingerprint", "member_of", "tls_name"]

# An arc under 2.25 is a random UUID read as a number: ours without asking a registry (X.667).
MEMBER_EXTENSION = x509.ObjectIdentifier("2.25.190618498372143409257403215561203647019")
_SIGNING_DOMAIN = b"meerkat: member vouches for TLS key, 1\x00"
_OCTET_STRING_96 = b"\x04\x60"  # DER: OCTET STRING of 32 (key) + 64 (signature) bytes
_MAGIC = b"meerkat-tls-1\x00"
# RFC 5280, 4.1.2.5: this end means "no expiration"; the beginning tolerates any clock.
_NOT_BEFORE, _NOT_AFTER = datetime(2000, 1, 1), datetime(9999, 12, 31, 23, 59, 59)


def fingerprint(certificate: bytes) -> bytes:
    """BLAKE3 (32 bytes) of a DER certificate: what an invitation pins."""
    return blake3(certificate).digest()


def tls_name(member: MemberId) -> str:
    """The name TLS asks for. It proves nothing; the pinned certificate does."""
    return f"{member[:16].hex()}.meerkat.invalid"


@dataclass(frozen=True, slots=True)
class TlsIdentity:
    """A member's TLS key (PEM, secret) and certificate (DER)."""

    member: MemberId
    certificate_der: bytes
    key_pem: bytes = field(repr=False)

    @property
    def certificate_pem(self) -> bytes:
        """The certificate as gRPC wants it."""
        return pem_of(self.certificate_der)

    @classmethod
    def create(cls, member_private_key: Ed25519PrivateKey) -> TlsIdentity:
        """Make a new TLS key and have the member's key vouch for it."""
        tls_key = ec.generate_private_key(ec.SECP256R1())
        public = member_private_key.public_key().public_bytes_raw()
        signature = member_private_key.sign(_signed(tls_key.public_key()))
        certificate = _certificate(tls_key, MemberId(public), public + signature)
        key_pem = tls_key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        return cls(MemberId(public), certificate, key_pem)

    def to_bytes(self) -> bytes:
        """Everything, the secret included, for storing where only the owner can read."""
        return _MAGIC + struct.pack("<I", len(self.key_pem)) + self.key_pem + self.certificate_der

    @classmethod
    def from_bytes(cls, stored: bytes) -> TlsIdentity:
        """Read what ``to_bytes`` wrote.

        Raises:
            ValueError: these bytes are damaged, or key and certificate do not belong together.
        """
        start = len(_MAGIC) + 4
        if not stored.startswith(_MAGIC) or len(stored) < start:
            raise ValueError("not a stored TLS identity")
        (key_length,) = struct.unpack_from("<I", stored, len(_MAGIC))
        key_pem, certificate = stored[start : start + key_length], stored[start + key_length :]
        try:
            key = serialization.load_pem_private_key(key_pem, password=None)
            member = member_of(certificate)
        except (PeerNotTrusted, TypeError, ValueError, UnsupportedAlgorithm) as error:
            raise ValueError(f"damaged TLS identity: {error}") from error
        if x509.load_der_x509_certificate(certificate).public_key() != key.public_key():
            raise ValueError("damaged TLS identity: the key is another certificate's")
        return cls(member, certificate, key_pem)


def member_of(certificate_der: bytes) -> MemberId:
    """Whose certificate this is; any byte we would not have written ourselves is refused.

    Raises:
        PeerNotTrusted: not a certificate of ours, altered, or not vouched for by its member.
    """
    try:
        certificate = x509.load_der_x509_certificate(certificate_der)
        vouched = certificate.extensions.get_extension_for_oid(MEMBER_EXTENSION).value
        tls_key = certificate.public_key()
        certificate.verify_directly_issued_by(certificate)
    except (ValueError, TypeError, x509.ExtensionNotFound, x509.DuplicateExtension) as error:
        raise PeerNotTrusted(f"not a meerkat certificate: {error}") from error
    except (InvalidSignature, UnsupportedAlgorithm) as error:
        raise PeerNotTrusted("the certificate's own signature does not hold") from error
    if not isinstance(tls_key, ec.EllipticCurvePublicKey) or tls_key.curve.name != "secp256r1":
        raise PeerNotTrusted("the certificate's TLS key is not on P-256")
    member = _voucher(vouched, tls_key)
    _check_shape(certificate, certificate_der, member)
    return member


def pem_of(certificate_der: bytes) -> bytes:
    """The same certificate in PEM."""
    certificate = x509.load_der_x509_certificate(certificate_der)
    return certificate.public_bytes(serialization.Encoding.PEM)


def _signed(tls_key: ec.EllipticCurvePublicKey) -> bytes:
    spki = tls_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return _SIGNING_DOMAIN + blake3(spki).digest()


def _extensions(member: MemberId, voucher: bytes) -> list[x509.ExtensionType]:
    usage = x509.KeyUsage(
        digital_signature=True,  # alone: else TLS takes certificates issued by this one (measured)
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return [
        x509.BasicConstraints(ca=False, path_length=None),
        usage,
        x509.SubjectAlternativeName([x509.DNSName(tls_name(member))]),
        x509.UnrecognizedExtension(MEMBER_EXTENSION, voucher),
    ]


def _certificate(tls_key: ec.EllipticCurvePrivateKey, member: MemberId, voucher: bytes) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, tls_name(member))])
    builder = x509.CertificateBuilder(issuer_name=name, subject_name=name)
    builder = builder.public_key(tls_key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(_NOT_BEFORE).not_valid_after(_NOT_AFTER)
    for extension in _extensions(member, _OCTET_STRING_96 + voucher):
        critical = isinstance(extension, x509.BasicConstraints | x509.KeyUsage)
        builder = builder.add_extension(extension, critical=critical)
    certificate = builder.sign(tls_key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.DER)


def _voucher(extension: x509.ExtensionType, tls_key: ec.EllipticCurvePublicKey) -> MemberId:
    value = extension.value if isinstance(extension, x509.UnrecognizedExtension) else b""
    if len(value) != 98 or not value.startswith(_OCTET_STRING_96):
        raise PeerNotTrusted("the member extension is malformed")
    public, signature = value[2:34], value[34:]
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, _signed(tls_key))
    except InvalidSignature as error:
        raise PeerNotTrusted("the member did not vouch for this TLS key") from error
    return MemberId(public)


def _check_shape(certificate: x509.Certificate, der: bytes, member: MemberId) -> None:
    voucher = certificate.extensions.get_extension_for_oid(MEMBER_EXTENSION).value
    value = voucher.value if isinstance(voucher, x509.UnrecognizedExtension) else b""
    expected = _extensions(member, value)
    if [extension.value for extension in certificate.extensions] != expected:
        raise PeerNotTrusted("the certificate has other extensions than a meerkat certificate")
    if certificate.public_bytes(serialization.Encoding.DER) != der:
        raise PeerNotTrusted("the certificate has bytes after its end")
