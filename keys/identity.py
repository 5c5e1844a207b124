"""Who a process is: certificates with exactly one URI, and a throw-away authority.

    spiffe://<trust domain>/party/<id>             the agent of a party
    spiffe://<trust domain>/office/<party>/<id>    an office of a party
    spiffe://<trust domain>/coordinator/<id>       the coordinator
    spiffe://<trust domain>/auditor/<id>           an auditor
    spiffe://<trust domain>/matcher/<id>           the matcher

A common name or a DNS name identifies nobody: it is not looked at. A certificate alone admits
nobody either, since whoever has the authority's key can make one: its public key stands in
the match log, by the name that `key_digest` gives it.
"""

import datetime
import ipaddress
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, get_args

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keys.errors import KeysError

Role = Literal["party", "office", "coordinator", "auditor", "matcher"]
_ID = r"[a-z0-9][a-z0-9-]{0,31}"
_IDENTITY = re.compile(rf"spiffe://([a-z0-9.-]{{1,64}})/([a-z]+)/({_ID})(?:/({_ID}))?")


@dataclass(frozen=True)
class Identity:
    """The one name of a process.

    Attributes:
        trust_domain: the service it belongs to.
        role: what it may do.
        name: which party, auditor or matcher; of an office, party and office with a slash.
    """

    trust_domain: str
    role: Role
    name: str

    @property
    def party(self) -> str:
        """The party that it is, or that it is an office of; its own name for others."""
        return self.name.partition("/")[0]

    @property
    def office(self) -> str:
        """Its own name as an office of its party; "" for others."""
        return self.name.partition("/")[2]

    @property
    def path(self) -> str:
        """What log entries name it by: role and name."""
        return f"{self.role}/{self.name}"

    @property
    def uri(self) -> str:
        """The identity as it stands in a certificate."""
        return f"spiffe://{self.trust_domain}/{self.role}/{self.name}"


def parse_identity(uri: str) -> Identity:
    """Return the identity that a URI names.

    Raises:
        KeysError: it has another form, or an unknown role.
    """
    match = _IDENTITY.fullmatch(uri)
    if match is None or match[2] not in get_args(Role) or (match[2] == "office") != bool(match[4]):
        raise KeysError("not an identity of the form spiffe://domain/role/name")
    name = f"{match[3]}/{match[4]}" if match[4] else match[3]
    return Identity(match[1], match[2], name)  # type: ignore[arg-type] # checked above


def identity_in(certificate_pem: bytes) -> Identity:
    """Return the identity of a certificate that the TLS handshake has verified.

    Raises:
        KeysError: it has none or several URIs, or may not be used by a client.
    """
    certificate = _certificate_in(certificate_pem)
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound as error:
        raise KeysError("the certificate lacks a subject alternative name or key usage") from error
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise KeysError("the certificate has an extension that cannot be read") from error
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if len(uris) != 1:
        raise KeysError(f"the certificate has {len(uris)} URIs, not exactly one")
    if ExtendedKeyUsageOID.CLIENT_AUTH not in usage:
        raise KeysError("the certificate may not be used by a client")
    return parse_identity(uris[0])


def key_digest(certificate_pem: bytes) -> str:
    """Return the name of a certificate's public key: SHA-256 of its SPKI, in hexadecimal.

    Raises:
        KeysError: it is no certificate, or of a key of unknown kind.
    """
    try:
        key = _certificate_in(certificate_pem).public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeysError("the certificate has a key of an unknown kind") from error
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return sha256(key.public_bytes(*form)).hexdigest()


@dataclass(frozen=True)
class Credential:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    private_key: bytes

    def __repr__(self) -> str:
        return "Credential(...)"


class ThrowawayAuthority:
    """A certificate authority for demonstrations and tests, forgotten with its process.

    Args:
        now: start of all validities.
        days: length of all validities.
    """

    def __init__(self, now: datetime.datetime, days: int = 7) -> None:
        self._from, self._until = now, now + datetime.timedelta(days=days)
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _common_name("Padan throw-away authority")
        key_usage = x509.KeyUsage(
            digital_signature=False, content_commitment=False, key_encipherment=False,
            data_encipherment=False, key_agreement=False, key_cert_sign=True, crl_sign=True,
            encipher_only=False, decipher_only=False,
        )  # fmt: skip
        self._certificate = (
            self._builder(self._name, self._key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(key_usage, critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False
            )
            .sign(self._key, hashes.SHA256())
        )

    @property
    def certificate(self) -> bytes:
        """The authority's own certificate, PEM."""
        return self._certificate.public_bytes(serialization.Encoding.PEM)

    def issue(self, identity: Identity, addresses: tuple[str, ...] = ()) -> Credential:
        """Return a certificate for one identity, valid for client and server.

        Args:
            identity: whom the certificate names.
            addresses: IP addresses that clients may reach it under, for a server.
        """
        key = ec.generate_private_key(ec.SECP256R1())
        names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(identity.uri)]
        names += [x509.IPAddress(ipaddress.ip_address(address)) for address in addresses]
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        certificate = (
            self._builder(_common_name(identity.name), key.public_key())
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        return Credential(
            certificate.public_bytes(serialization.Encoding.PEM),
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            ),
        )

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._from)
            .not_valid_after(self._until)
        )


def _certificate_in(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise KeysError("not a certificate in PEM form") from error


def _common_name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
