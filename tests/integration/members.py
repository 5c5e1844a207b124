"""A matcher and those enrolled with it, of every role, for tests of who is admitted.

Nobody here has records: there are folders, certificates, signing keys, and the documents that
admit them. The matcher is real, and so are gRPC and TLS on 127.0.0.1.
"""

import asyncio
import datetime
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from google.protobuf import descriptor_pool

from keys.dsse import Ed25519Signer, Envelope, sign
from keys.identity import Credential, ThrowawayAuthority, key_digest, parse_identity
from linkage.agreement.payload import Enrolment, KeyRevocation, KeyRotation, Payload
from linkage.cli import padan
from linkage.log.canonical import encode_base64
from linkage.matcher.config import MatcherConfig, load_config
from linkage.matcher.offline import offline_documents
from linkage.matcher.server import Matcher
from linkage.rpc.limits import CLIENT_OPTIONS
from linkage.v1 import document_pb2, document_pb2_grpc

DOMAIN = "padan.test"
ORIGIN = "padan.test/log"
NOW = datetime.datetime.now(datetime.UTC).replace(microsecond=0)
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
_HOUR, _DAY = datetime.timedelta(hours=1), datetime.timedelta(days=1)
_DEADLINE_S = 20.0


def uri(path: str, domain: str = DOMAIN) -> str:
    """The identity of `party/x`, `office/x/y`, ..."""
    return f"spiffe://{domain}/{path}"


def new_signer() -> Ed25519Signer:
    return Ed25519Signer(Ed25519PrivateKey.generate())


def signed(payload: Payload, *signers: Ed25519Signer) -> Envelope:
    return sign(payload.TYPE, payload.to_bytes(), signers)


class Members:
    """Folders of a matcher, and the certificates and keys of those enrolled with it.

    Attributes:
        root: folder of it all.
        address: of the matcher, while it runs.
        ahead_s: how far its clock is ahead.
        authority: issues all certificates.
        admin: enrols everybody.
        credentials: the certificate of everybody, by `party/x`, `office/x/y`, ...
        signers: the signing key of everybody who has one.
    """

    def __init__(self, root: Path) -> None:
        self.root, self.address, self.ahead_s = root, "", 0.0
        self.authority = ThrowawayAuthority(NOW - _HOUR)
        self.admin = new_signer()
        self.credentials: dict[str, Credential] = {}
        self.signers: dict[str, Ed25519Signer] = {}

    @property
    def config(self) -> MatcherConfig:
        """The settings of the matcher."""
        return load_config(self.root / "matcher" / "matcher.toml")

    def prepare(self) -> None:
        """Make the matcher's folder and the key of its log; nobody is enrolled."""
        folder = self.root / "matcher"
        folder.mkdir(parents=True)
        matcher = self.authority.issue(parse_identity(uri("matcher/server")), ("127.0.0.1",))
        (folder / "certificate.pem").write_bytes(matcher.certificate)
        (folder / "private-key.pem").write_bytes(matcher.private_key)
        (folder / "authority.pem").write_bytes(self.authority.certificate)
        (folder / "matcher.toml").write_text(
            f'trust_domain = "{DOMAIN}"\nlisten = "127.0.0.1:0"\ndata = "data"\n'
            'keystore = "keystore"\n'
            '[tls]\ncertificate = "certificate.pem"\nprivate_key = "private-key.pem"\n'
            'authority = "authority.pem"\n'
            f'[log]\norigin = "{ORIGIN}"\nsigning_key = "keys/log.key"\n'
            'key_encryption_key = "keys/kek"\n'
            f'administrators = ["{encode_base64(self.admin.public)}"]\n'
        )
        done = CliRunner().invoke(
            padan,
            [
                *("matcher", "init-log", "--config", str(folder / "matcher.toml")),
                *("--trust", str(self.root / "trust.txt")),
            ],
        )
        assert done.exit_code == 0, done.exception

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run the matcher until the end of the block; may be done again and again."""
        address_file = self.root / "address"
        address_file.unlink(missing_ok=True)
        loop, stop, failures = asyncio.new_event_loop(), asyncio.Event(), list[BaseException]()

        def serve() -> None:
            try:
                matcher = Matcher(self.config, lambda: time.time() + self.ahead_s)
                loop.run_until_complete(matcher.serve(stop, address_file))
            except BaseException as error:
                failures.append(error)
                raise
            finally:
                loop.close()

        thread = threading.Thread(target=serve)
        thread.start()
        while not address_file.exists():
            assert not failures, failures
            thread.join(0.02)
        self.address = address_file.read_text()
        try:
            yield
        finally:
            if not loop.is_closed():
                loop.call_soon_threadsafe(stop.set)
            thread.join()

    def enrolment(self, path: str, **own: Any) -> Envelope:
        """Make somebody's certificate and signing key; return the document that admits both."""
        self.credentials[path] = self.authority.issue(parse_identity(uri(path)))
        self.signers[path] = new_signer()
        fields = {
            "log": ORIGIN,
            "principal": uri(path),
            "tls_keys": (key_digest(self.credentials[path].certificate),),
            "sign_key": encode_base64(self.signers[path].public),
        }
        return signed(Enrolment(**{**fields, **own}), self.admin, self.signers[path])

    def rotation(self, path: str, **own: Any) -> Envelope:
        """Make somebody's next certificate; return the document that brings it."""
        self.credentials[path] = self.authority.issue(parse_identity(uri(path)))
        fields = {
            "log": ORIGIN,
            "principal": uri(path),
            "serial": 1,
            "tls_keys": (key_digest(self.credentials[path].certificate),),
            "old_until": NOW + _DAY,
        }
        return signed(KeyRotation(**{**fields, **own}), self.admin)

    def revocation(self, path: str, *revoked: Credential, serial: int = 1) -> Envelope:
        """Return the document that revokes certificates, or without any the whole principal."""
        wanted = KeyRevocation(
            log=ORIGIN,
            principal=uri(path),
            serial=serial,
            keys=tuple(key_digest(one.certificate) for one in revoked),
            reason="compromised",
        )
        return signed(wanted, self.admin)

    def submit(self, *documents: Envelope) -> list[int]:
        """Put documents into the log of the matcher, which does not run."""
        with offline_documents(self.config) as taken:
            return [taken.submit("matcher", document.to_bytes()) for document in documents]

    @contextmanager
    def channel(
        self, credential: Credential | None, address: str | None = None
    ) -> Iterator[grpc.Channel]:
        """Open a channel; not `open_channel`, which would itself refuse a bad certificate."""
        own = (credential.private_key, credential.certificate) if credential else (None, None)
        credentials = grpc.ssl_channel_credentials(self.authority.certificate, *own)
        with grpc.secure_channel(address or self.address, credentials, CLIENT_OPTIONS) as channel:
            yield channel

    def bring(self, path: str, document: Envelope, *sealed: bytes) -> int:
        """Let somebody bring a document to the matcher, which runs; return its leaf."""
        with self.channel(self.credentials[path]) as channel:
            request = document_pb2.SubmitDocumentRequest(
                envelope=document.to_bytes(), sealed=sealed
            )
            stub = document_pb2_grpc.DocumentServiceStub(channel)
            return stub.SubmitDocument(request, timeout=_DEADLINE_S).leaf_index

    def crooked(
        self,
        names: list[x509.GeneralName] | None,
        private_key: bytes | None = None,
        usages: tuple[x509.ObjectIdentifier, ...] | None = CLIENT,
        common_name: str = "x",
        valid: tuple[datetime.datetime, datetime.datetime] = (NOW - _HOUR, NOW + _DAY),
    ) -> Credential:
        """A certificate that only who has the authority's key can make.

        Args:
            names: all its alternative names; None for no such extension.
            private_key: the key that it is for, PEM; a new one if there is none.
            usages: its extended key usages; None for no such extension.
            common_name: the name that nobody is to look at.
            valid: from when until when.
        """
        pem = private_key or _pem(ec.generate_private_key(ec.SECP256R1()))
        key = load_pem_private_key(pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
            .issuer_name(x509.load_pem_x509_certificate(self.authority.certificate).subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(valid[0])
            .not_valid_after(valid[1])
        )
        if names is not None:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if usages is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        made = builder.sign(self.authority._key, hashes.SHA256())
        return Credential(made.public_bytes(Encoding.PEM), pem)


def call(channel: grpc.Channel, method: str, request: bytes = b"") -> None:
    """Call a method of any kind with one message, and wait for its first answer or its end."""
    service, name = method[1:].split("/")
    found = descriptor_pool.Default().FindServiceByName(service).methods_by_name[name]
    sent: Any = iter([request]) if found.client_streaming else request
    words = (
        "stream" if found.client_streaming else "unary",
        "stream" if found.server_streaming else "unary",
    )
    made = getattr(channel, "_".join(words))(method)(sent, timeout=_DEADLINE_S)
    if found.server_streaming:
        next(made, None)
        made.cancel()


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
