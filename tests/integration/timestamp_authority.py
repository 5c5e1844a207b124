"""A timestamp authority for tests: certificates of our own, and responses made by `openssl ts`."""

import datetime
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_SETTINGS = """
[tsa]
default_tsa = own
[own]
serial = {folder}/serial
crypto_device = builtin
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_chain = no
ess_cert_id_alg = sha256
"""


class TimestampAuthority:
    """An authority with a root of its own.

    Args:
        folder: of its files.

    Attributes:
        root: PEM file of the certificate that its own was issued by.
    """

    def __init__(self, folder: Path) -> None:
        program = shutil.which("openssl")
        if program is None:
            pytest.skip("no openssl (Debian's openssl has it)")
        self._program = program
        pytest.importorskip("rfc3161_client", reason="rfc3161-client is not installed")
        folder.mkdir(parents=True)
        self._folder, self.root = folder, folder / "root.pem"
        now = datetime.datetime.now(datetime.UTC)
        root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Root of tests")])
        root = (
            _builder(name, name, root_key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(root_key, hashes.SHA256())
        )
        own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Timestamps of tests")])
        purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        certificate = (
            _builder(own, name, key.public_key(), now)
            .add_extension(purpose, critical=True)
            .sign(root_key, hashes.SHA256())
        )
        self.root.write_bytes(root.public_bytes(Encoding.PEM))
        (folder / "tsa.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (folder / "tsa.key").write_bytes(pem)
        (folder / "serial").write_text("01\n")
        (folder / "ts.cnf").write_text(_SETTINGS.format(folder=folder))

    def respond(self, query: bytes) -> bytes:
        """Return the response to a request."""
        request, response = self._folder / "request.tsq", self._folder / "response.tsr"
        request.write_bytes(query)
        self._openssl("-reply", "-queryfile", str(request), "-out", str(response))
        return response.read_bytes()

    def confirms(self, response: bytes, message: bytes) -> bool:
        """Return whether OpenSSL finds that a response is over a message."""
        token, data = self._folder / "checked.tsr", self._folder / "data"
        token.write_bytes(response)
        data.write_bytes(message)
        done = subprocess.run(
            [self._program, "ts", "-verify", "-data", data, "-in", token, "-CAfile", self.root],
            capture_output=True, check=False,
        )  # fmt: skip
        return done.returncode == 0

    @contextmanager
    def serving(self) -> Iterator[str]:
        """Answer over HTTP on 127.0.0.1 until the end of the block; yields the address."""
        respond = self.respond

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                query = self.rfile.read(int(self.headers["Content-Length"]))
                response = respond(query)
                self.send_response(200)
                self.send_header("Content-Type", "application/timestamp-reply")
                self.send_header("Content-Length", str(len(response)))
                self.end_headers()
                self.wfile.write(response)

            def log_message(self, *_: object) -> None: ...

        server = HTTPServer(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _openssl(self, *arguments: str) -> None:
        config = str(self._folder / "ts.cnf")
        subprocess.run(
            [self._program, "ts", *arguments, "-config", config], capture_output=True, check=True
        )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public: ec.EllipticCurvePublicKey,
    now: datetime.datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
    )
