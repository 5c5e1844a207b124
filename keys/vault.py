"""A key-encryption key in OpenBao or HashiCorp Vault, behind its transit engine.

The server wraps and unwraps the data key of a keystore file. The context of the file goes
with it twice: as key-derivation context, so that each file has a key of its own in the
server, and as associated data, which holds under a key without derivation too.

    https://bao.example:8200/transit/padan?token-source=file:/run/token&ca=/etc/padan/ca.pem

Plain HTTP by the standard library: it follows no redirect and asks no proxy, either of
which would be given the token.
"""

import base64
import http.client
import json
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from keys.errors import KeystoreError
from keys.providers import KEY_BYTES
from keys.secretsource import SecretSource

_TIMEOUT_S = 10.0
_MAX_ANSWER_BYTES = 1 << 16
_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_PATH = re.compile(r"/((?:[A-Za-z0-9._-]+/)+)([A-Za-z0-9._-]+)")
_WRAPPED = re.compile(rb"vault:v[1-9][0-9]{0,8}:[A-Za-z0-9+/]{40,4096}={0,2}")


@dataclass(frozen=True)
class TransitKey:
    """Where a key is in which server.

    Attributes:
        host: name or address.
        port: its port.
        authority: PEM file of who signed its certificate, None for the system's list.
        plain: no TLS: only on this machine, for a server under test.
        mount: path of the transit engine.
        key: name of the key in it.
        token: where the server's token comes from; a file is read anew for each call.
    """

    host: str
    port: int
    authority: Path | None
    plain: bool
    mount: str
    key: str
    token: SecretSource


def parse_transit_key(text: str, base: Path = Path()) -> TransitKey:
    """Return the key that the rest of a setting names, after `vault:`.

    Raises:
        KeystoreError: a part is missing or unknown, or TLS is missing beyond this machine.
    """
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port or 8200
        options = dict(parse_qsl(url.query, strict_parsing=True)) if url.query else {}
    except ValueError as error:
        raise KeystoreError(
            "vault: not an address of the form https://host:port/mount/key"
        ) from error
    path = _PATH.fullmatch(url.path)
    if path is None or not host or url.username is not None or url.fragment:
        raise KeystoreError("vault: not an address of the form https://host:port/mount/key")
    if url.scheme != "https" and not (url.scheme == "http" and host in _LOOPBACK):
        raise KeystoreError("vault: beyond this machine it is reached by https:// only")
    if unknown := options.keys() - {"token-source", "ca"}:
        raise KeystoreError(
            f"vault: {', '.join(sorted(unknown))}: unknown; there are token-source, ca"
        )
    token = SecretSource(options.get("token-source", "prompt"), f"token for {host}", base)
    authority = base / options["ca"] if "ca" in options else None
    plain = url.scheme == "http"
    return TransitKey(host, port, authority, plain, path[1].rstrip("/"), path[2], token)


class VaultProvider:
    """A provider whose key is in a server's transit engine.

    Args:
        place: the server and its key.

    Raises:
        KeystoreError: the token cannot be read.
    """

    name = "vault"

    def __init__(self, place: TransitKey) -> None:
        self._place = place
        self._connection = _Connection(place)

    def __repr__(self) -> str:
        return f"VaultProvider({self._place.host}/{self._place.mount}/{self._place.key})"

    def wrap(self, data_key: bytes | bytearray, context: bytes) -> bytes:
        """See `KeyProvider.wrap`."""
        fields = {"plaintext": _encode(data_key), **_bound(context)}
        wrapped = str(self._connection.post("encrypt", fields).get("ciphertext")).encode()
        if _WRAPPED.fullmatch(wrapped) is None:
            raise KeystoreError(f"{self._place.host}: wraps keys in a form that is not known here")
        return wrapped

    def unwrap(self, wrapped: bytes, context: bytes) -> bytearray:
        """See `KeyProvider.unwrap`."""
        if _WRAPPED.fullmatch(wrapped) is None:
            raise KeystoreError("the wrapped key has another form: the file was changed")
        fields = {"ciphertext": wrapped.decode(), **_bound(context)}
        answer = self._connection.post("decrypt", fields)
        try:
            data_key = bytearray(base64.b64decode(str(answer.get("plaintext")), validate=True))
        except ValueError:
            data_key = bytearray()  # no `from`: that error could hold a part of the key
        if len(data_key) != KEY_BYTES:
            raise KeystoreError(f"{self._place.host}: what came back is no data key")
        return data_key

    def close(self) -> None:
        """See `KeyProvider.close`."""
        self._connection.forget()


def create_transit_key(place: TransitKey) -> None:
    """Make an AES-256-GCM key in a transit engine, derived for each file, not exportable.

    Raises:
        KeystoreError: the server does not answer or refuses, or its key of that name is of
            another kind.
    """
    fields = {"type": "aes256-gcm96", "derived": True, "exportable": False}
    made = _Connection(place).post("keys", fields)
    if made.get("derived") is not True or made.get("exportable") is not False:
        raise KeystoreError(
            f"{place.host}: its key {place.key!r} is not derived or is exportable: name another"
        )


class _Connection:
    """Calls of one transit key, each on a connection of its own."""

    def __init__(self, place: TransitKey) -> None:
        self._place = place
        # A descriptor gives its bytes once, and nobody types a token for each key.
        self._token = None if place.token.rereads else place.token.read()

    def forget(self) -> None:
        if self._token is not None:
            self._token[:] = bytes(len(self._token))

    def post(self, verb: str, fields: dict[str, object]) -> dict[str, object]:
        """Return the data of the answer to a call.

        Raises:
            KeystoreError: the server does not answer, is sealed, or refuses.
        """
        place = self._place
        token = self._token or place.token.read()
        path = f"/v1/{place.mount}/{verb}/{place.key}"
        connection = self._connect()
        try:
            headers = {"X-Vault-Token": token.decode("latin-1"), "X-Vault-Request": "true"}
            connection.request("POST", path, json.dumps(fields), headers)
            answer = connection.getresponse()
            status, content = answer.status, answer.read(_MAX_ANSWER_BYTES)
        except ssl.SSLCertVerificationError as error:
            raise KeystoreError(
                f"{place.host}: its certificate is not one of the trusted authority: check ca="
            ) from error
        except (OSError, http.client.HTTPException) as error:
            raise KeystoreError(
                f"{place.host}:{place.port}: does not answer ({type(error).__name__}): start it "
                "or try again; nothing was lost"
            ) from error
        except ValueError:
            # No `from`: http.client quotes a header that it refuses.
            raise KeystoreError(f"{place.token.what}: holds what no token holds") from None
        finally:
            connection.close()
        if status != http.client.OK:
            raise _refusal(place, verb, status, content)
        try:
            data = json.loads(content)["data"]
        except (ValueError, KeyError, TypeError):
            data = None
        if not isinstance(data, dict):
            raise KeystoreError(
                f"{place.host}: answers what no transit engine does: check the address"
            )
        return data

    def _connect(self) -> http.client.HTTPConnection:
        place = self._place
        if place.plain:
            return http.client.HTTPConnection(place.host, place.port, timeout=_TIMEOUT_S)
        try:
            context = ssl.create_default_context(
                cafile=None if place.authority is None else str(place.authority)
            )
        except (OSError, ssl.SSLError) as error:
            raise KeystoreError(f"{place.authority}: not a PEM file of an authority") from error
        return http.client.HTTPSConnection(
            place.host, place.port, timeout=_TIMEOUT_S, context=context
        )


def _refusal(place: TransitKey, verb: str, status: int, content: bytes) -> KeystoreError:
    """Return the error for an answer; of its text only known words are looked at."""
    where = f"{place.host}: {place.mount}/{place.key}"
    if status in {429, 472, 473, 501, 503}:
        return KeystoreError(
            f"{place.host}: is sealed or not ready: have it unsealed, then try again; nothing lost"
        )
    if status == http.client.FORBIDDEN:
        return KeystoreError(
            f"{where}: the token is refused: renew it; its policy allows update on "
            f"{place.mount}/{verb}/{place.key}"
        )
    if status == http.client.NOT_FOUND:
        return KeystoreError(f"{where}: there is no transit engine of that name")
    if b"encryption key not found" in content:
        return KeystoreError(f"{where}: there is no such key: `padan keys init` makes one")
    if b"version" in content:
        return KeystoreError(
            f"{where}: keeps no key of this file's version: lower min_decryption_version, rewrap"
        )
    if verb == "decrypt" and status == http.client.BAD_REQUEST:
        return KeystoreError(f"{where}: does not open this file, or the file was changed")
    return KeystoreError(f"{where}: refuses with status {status}")


def _bound(context: bytes) -> dict[str, object]:
    return {"context": _encode(context), "associated_data": _encode(context)}


def _encode(data: bytes | bytearray) -> str:
    return base64.b64encode(data).decode()
