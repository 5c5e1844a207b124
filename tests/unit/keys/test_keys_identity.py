"""Identities in certificates: one URI, and nothing but that URI."""

import datetime
import ssl
from hashlib import sha256
from pathlib import Path
from typing import get_args

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError
from pydantic import ValidationError

from keys.errors import KeysError
from keys.identity import (
    Credential,
    Identity,
    Role,
    ThrowawayAuthority,
    identity_in,
    key_digest,
    parse_identity,
)
from linkage.agreement.payload import Enrolment
from linkage.agreement.values import path_of, role_in

NOW = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
LATER = NOW + datetime.timedelta(days=1)
DUKCAPIL = Identity("padan.test", "party", "dukcapil")
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
FORMS = [
    f"spiffe://{domain}/{role}/{name}"
    for domain in ("padan.test", "p", "1-.", "Padan.test", "d" * 64, "d" * 65)
    for role in (*get_args(Role), "root")
    for name in ("a", "a-1", "a/b", "a/b-1", "A", "a/B", "a/", "-a", "a/-b", "a/b/c", "n" * 33)
]


def certificate_with(
    names: list[x509.GeneralName] | None,
    usages: tuple[x509.ObjectIdentifier, ...] | None = CLIENT,
    common_name: str = "dukcapil",
    key: ec.EllipticCurvePrivateKey | None = None,
) -> bytes:
    """A self-signed certificate with exactly these names and usages."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(LATER)
    )
    if names is not None:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    if usages is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    certificate = builder.sign(key, hashes.SHA256())
    return certificate.public_bytes(serialization.Encoding.PEM)


def uri(text: str) -> x509.UniformResourceIdentifier:
    return x509.UniformResourceIdentifier(text)


@pytest.fixture(scope="module")
def authority() -> ThrowawayAuthority:
    return ThrowawayAuthority(NOW)


@pytest.mark.parametrize("role", ["party", "coordinator", "auditor", "matcher"])
def test_an_identity_is_what_its_uri_says(role: str) -> None:
    text = f"spiffe://padan.test/{role}/a-1"
    identity = parse_identity(text)
    assert (identity.trust_domain, identity.role, identity.name) == ("padan.test", role, "a-1")
    assert identity.party == "a-1"
    assert identity.uri == text


def test_an_office_is_named_with_its_party() -> None:
    office = parse_identity("spiffe://padan.test/office/kemenlu/tawau-2")
    assert (office.role, office.name) == ("office", "kemenlu/tawau-2")
    assert office.party == "kemenlu"
    assert office.uri == "spiffe://padan.test/office/kemenlu/tawau-2"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "dukcapil",
        "https://padan.test/party/dukcapil",
        "spiffe://padan.test/party/dukcapil/",
        "spiffe://padan.test/party/dukcapil\n",
        " spiffe://padan.test/party/dukcapil",
        "spiffe://padan.test/party/",
        "spiffe://padan.test//dukcapil",
        "spiffe:///party/dukcapil",
        "spiffe://padan.test/party/dukcapil/matcher/x",
        "spiffe://padan.test/party/-dukcapil",
        "spiffe://padan.test/party/Dukcapil",
        "spiffe://PADAN.test/party/dukcapil",
        "spiffe://padan.test/party/dukcapil?x=1",
        "spiffe://padan.test/party/dukcapil#matcher",
        "spiffe://padan.test/party/duk%63apil",
        "spiffe://padan.test/party/\N{CYRILLIC SMALL LETTER A}hu",
        "spiffe://padan.test/party/" + "a" * 33,
        "spiffe://" + "a" * 65 + "/party/dukcapil",
        "SPIFFE://padan.test/party/dukcapil",
        "spiffe://padan.test/root/dukcapil",
        "spiffe://padan.test/admin/dukcapil",
        "spiffe://padan.test/partyauditor/dukcapil",
        "spiffe://padan.test/office/kemenlu",
        "spiffe://padan.test/office/kemenlu/",
        "spiffe://padan.test/office//tawau",
        "spiffe://padan.test/office/kemenlu/tawau/x",
        "spiffe://padan.test/office/kemenlu/Tawau",
        "spiffe://padan.test/office/kemenlu/../dukcapil",
        "spiffe://padan.test/party/kemenlu/tawau",
        "spiffe://padan.test/auditor/kemenlu/tawau",
    ],
)
def test_a_uri_of_another_form_or_role_is_nobody(text: str) -> None:
    with pytest.raises(KeysError):
        parse_identity(text)


def test_the_longest_names_are_taken() -> None:
    for path in (f"party/{'n' * 32}", f"office/{'n' * 32}/{'m' * 32}"):
        text = f"spiffe://{'d' * 64}/{path}"
        assert parse_identity(text).uri == text


@pytest.mark.parametrize("text", FORMS)
def test_whom_the_log_can_enrol_a_certificate_can_name_and_nobody_else(text: str) -> None:
    # Two readers of one form: what only one of them took would be enrolled in vain, or worse.
    named = Identity(*text.removeprefix("spiffe://").split("/", 2))  # type: ignore[arg-type]
    try:
        assert parse_identity(text) == named
    except KeysError:
        assert role_in(text) == ("", "")
        with pytest.raises(ValidationError):
            Enrolment(log="l", principal=text, tls_keys=())
    else:
        assert role_in(text) == (named.role, named.party)
        assert path_of(text) == f"{named.role}/{named.name}"
        Enrolment(log="l", principal=text, tls_keys=())


def test_a_certificate_with_one_uri_names_that_identity() -> None:
    assert identity_in(certificate_with([uri(DUKCAPIL.uri)])) == DUKCAPIL


def test_other_kinds_of_name_beside_the_uri_identify_nobody() -> None:
    names: list[x509.GeneralName] = [
        x509.DNSName("imigrasi.padan.test"),
        x509.RFC822Name("imigrasi@padan.test"),
        uri(DUKCAPIL.uri),
    ]
    assert identity_in(certificate_with(names, common_name="imigrasi")) == DUKCAPIL


@pytest.mark.parametrize(
    "names",
    [
        [],
        [x509.DNSName("dukcapil")],
        [uri(DUKCAPIL.uri), uri("spiffe://padan.test/party/imigrasi")],
        [uri(DUKCAPIL.uri), uri(DUKCAPIL.uri)],
        [uri(DUKCAPIL.uri), uri("https://padan.test/")],
    ],
    ids=["no name", "no URI", "two identities", "one twice", "another kind of URI"],
)
def test_a_certificate_without_exactly_one_uri_is_nobody(names: list[x509.GeneralName]) -> None:
    with pytest.raises(KeysError, match="not exactly one"):
        identity_in(certificate_with(names))


def test_a_certificate_without_alternative_names_is_nobody() -> None:
    with pytest.raises(KeysError, match="lacks"):
        identity_in(certificate_with(None, common_name=DUKCAPIL.uri))


def test_a_common_name_is_not_looked_at() -> None:
    spoof = certificate_with([uri(DUKCAPIL.uri)], common_name="spiffe://padan.test/matcher/x")
    assert identity_in(spoof) == DUKCAPIL
    with pytest.raises(KeysError):
        identity_in(certificate_with([x509.DNSName("x")], common_name=DUKCAPIL.uri))


def test_a_certificate_without_key_usage_is_nobody() -> None:
    with pytest.raises(KeysError, match="lacks"):
        identity_in(certificate_with([uri(DUKCAPIL.uri)], usages=None))


@pytest.mark.parametrize(
    "usages",
    [
        (ExtendedKeyUsageOID.SERVER_AUTH,),
        (ExtendedKeyUsageOID.EMAIL_PROTECTION,),
        # "Any usage" is no permission to be a client: it is what a careless authority writes.
        (ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,),
    ],
)
def test_a_certificate_that_is_not_for_clients_is_nobody(
    usages: tuple[x509.ObjectIdentifier, ...],
) -> None:
    with pytest.raises(KeysError, match="not be used by a client"):
        identity_in(certificate_with([uri(DUKCAPIL.uri)], usages))


def test_a_certificate_with_an_unknown_role_is_nobody() -> None:
    with pytest.raises(KeysError):
        identity_in(certificate_with([uri("spiffe://padan.test/root/dukcapil")]))


def der_with(oid: str, value: bytes) -> x509.UnrecognizedExtension:
    return x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), value)


@pytest.mark.parametrize(
    ("oid", "value"),
    [
        ("2.5.29.17", b""),  # no value at all
        ("2.5.29.17", b"\x30\x02\x86\x00\x00"),  # bytes behind the names
        ("2.5.29.17", b"\x30\x03\x86\x01\xff"),  # a URI that is no ASCII
        ("2.5.29.17", b"\x30\x02\x89\x00"),  # a kind of name that there is not
        ("2.5.29.37", b"\x04\x01x"),  # no list of usages
    ],
    ids=["empty", "trailing", "not ASCII", "unknown kind", "no list"],
)
def test_an_extension_that_cannot_be_read_names_nobody(oid: str, value: bytes) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(LATER)
        .add_extension(der_with(oid, value), critical=False)
    )
    if oid != "2.5.29.17":
        builder = builder.add_extension(x509.SubjectAlternativeName([uri(DUKCAPIL.uri)]), False)
    certificate = builder.sign(key, hashes.SHA256())
    with pytest.raises(KeysError):
        identity_in(certificate.public_bytes(serialization.Encoding.PEM))


@pytest.mark.parametrize("content", [b"", b"x", b"-----BEGIN CERTIFICATE-----\nAA==\n"])
def test_what_is_no_certificate_has_no_identity_and_no_key(content: bytes) -> None:
    for read in (identity_in, key_digest):
        with pytest.raises(KeysError, match="not a certificate"):
            read(content)


def test_a_key_is_named_by_its_public_half_whatever_certificate_it_is_in() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    spki = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for name in ("a", "b"):
        certificate = certificate_with([uri(DUKCAPIL.uri)], common_name=name, key=key)
        assert key_digest(certificate) == sha256(spki).hexdigest()


def test_of_a_chain_the_first_certificate_counts(authority: ThrowawayAuthority) -> None:
    own, other = authority.issue(DUKCAPIL).certificate, authority.certificate
    assert key_digest(own + other) == key_digest(own)
    assert identity_in(own + other) == DUKCAPIL


def test_the_authority_issues_what_identity_in_reads(authority: ThrowawayAuthority) -> None:
    for role in get_args(Role):
        identity = Identity("padan.test", role, "x-1/y" if role == "office" else "x-1")
        assert identity_in(authority.issue(identity).certificate) == identity


def test_an_issued_certificate_verifies_for_clients_and_servers(
    authority: ThrowawayAuthority,
) -> None:
    leaf = x509.load_pem_x509_certificate(authority.issue(DUKCAPIL, ("127.0.0.1",)).certificate)
    root = x509.load_pem_x509_certificate(authority.certificate)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(a) for a in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1"]
    leaf.verify_directly_issued_by(root)
    root.verify_directly_issued_by(root)


def test_tls_accepts_both_sides_and_checks_the_address(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
    authority = ThrowawayAuthority(now)
    server = authority.issue(Identity("padan.test", "matcher", "m"), ("127.0.0.1",))
    peer = shake_hands(tmp_path, authority, server, authority.issue(DUKCAPIL), "127.0.0.1")
    assert identity_in(peer) == DUKCAPIL
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(tmp_path, authority, server, authority.issue(DUKCAPIL), "127.0.0.2")


def test_tls_refuses_a_client_of_another_authority(tmp_path: Path) -> None:
    now = datetime.datetime.now(datetime.UTC) - datetime.timedelta(minutes=1)
    authority, stranger = ThrowawayAuthority(now), ThrowawayAuthority(now)
    server = authority.issue(Identity("padan.test", "matcher", "m"), ("127.0.0.1",))
    with pytest.raises(ssl.SSLError):
        shake_hands(tmp_path, authority, server, stranger.issue(DUKCAPIL), "127.0.0.1")


def test_a_certificate_of_another_authority_does_not_chain(authority: ThrowawayAuthority) -> None:
    stranger = x509.load_pem_x509_certificate(ThrowawayAuthority(NOW).certificate)
    leaf = x509.load_pem_x509_certificate(authority.issue(DUKCAPIL).certificate)
    verifier = PolicyBuilder().store(Store([stranger])).time(NOW).build_client_verifier()
    with pytest.raises(VerificationError):
        verifier.verify(leaf, [])


def test_validity_is_as_asked() -> None:
    certificate = x509.load_pem_x509_certificate(ThrowawayAuthority(NOW, days=3).certificate)
    assert certificate.not_valid_before_utc == NOW
    assert certificate.not_valid_after_utc == NOW + datetime.timedelta(days=3)


def test_a_credential_shows_nothing_of_its_key(authority: ThrowawayAuthority) -> None:
    credential = authority.issue(DUKCAPIL)
    assert b"PRIVATE KEY" in credential.private_key
    assert repr(credential) == "Credential(...)"


def context_of(
    folder: Path, purpose: int, authority: ThrowawayAuthority, credential: Credential
) -> ssl.SSLContext:
    context = ssl.SSLContext(purpose)
    (folder / "c.pem").write_bytes(credential.certificate)
    (folder / "k.pem").write_bytes(credential.private_key)
    context.load_cert_chain(folder / "c.pem", folder / "k.pem")
    context.load_verify_locations(cadata=authority.certificate.decode())
    context.verify_mode = ssl.CERT_REQUIRED
    return context


def shake_hands(
    folder: Path,
    authority: ThrowawayAuthority,
    server: Credential,
    client: Credential,
    address: str,
) -> bytes:
    """A mutual TLS handshake in memory; returns the client's certificate as the server saw it."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_side = context_of(folder, ssl.PROTOCOL_TLS_SERVER, authority, server).wrap_bio(
        to_server, to_client, server_side=True
    )
    client_side = context_of(folder, ssl.PROTOCOL_TLS_CLIENT, authority, client).wrap_bio(
        to_client, to_server, server_hostname=address
    )
    waiting = [client_side, server_side]
    for _ in range(20):
        for side in list(waiting):
            try:
                side.do_handshake()
                waiting.remove(side)
            except ssl.SSLWantReadError:
                continue
        if not waiting:
            break
    assert not waiting
    seen = server_side.getpeercert(binary_form=True)
    assert seen is not None
    return ssl.DER_cert_to_PEM_cert(seen).encode()
