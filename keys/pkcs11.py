"""A key-encryption key in a PKCS#11 token: an HSM, a smart card, or SoftHSM.

The key never leaves the token (`CKA_EXTRACTABLE` false). The token wraps and unwraps the
data key of a keystore file, with AES-256-GCM and the file's context as associated data;
whatever is done for each record or token of text is done here, with the key that the file
held. So a job costs the token one operation for each key.

    token=padan;object=kek?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/run/pin

Source: RFC 7512 (PKCS#11 URIs); PKCS#11 3.0, mechanism CKM_AES_GCM.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from keys.errors import KeystoreError
from keys.providers import KEY_BYTES, NONCE_BYTES, TAG_BYTES
from keys.secretsource import SecretSource

try:
    import pkcs11
    from pkcs11 import Attribute, GCMParams, KeyType, Mechanism, MechanismFlag, ObjectClass
    from pkcs11 import exceptions as raised
except ImportError as error:
    raise KeystoreError("PKCS#11 needs the extra hsm: pip install 'padan[hsm]'") from error

_PATH_PARTS = frozenset({"token", "object"})
_QUERY_PARTS = frozenset({"module-path", "pin-source"})


@dataclass(frozen=True)
class TokenKey:
    """Where a key is in which token.

    Attributes:
        module: the PKCS#11 library of the token's maker.
        token: label of the token.
        label: label of the AES key in it.
        pin: where the PIN comes from.
    """

    module: Path
    token: str
    label: str
    pin: SecretSource


def parse_token_key(text: str, base: Path = Path()) -> TokenKey:
    """Return the key that the rest of a PKCS#11 URI names, after `pkcs11:`.

    Raises:
        KeystoreError: a part is missing, unknown, there twice, or holds the PIN itself.
    """
    path, _, query = text.partition("?")
    parts: dict[str, str] = {}
    for known, fields in ((_PATH_PARTS, path.split(";")), (_QUERY_PARTS, query.split("&"))):
        for name, _, value in (field.partition("=") for field in fields if field):
            if name == "pin-value":
                raise KeystoreError("pkcs11: a PIN never stands in a setting: use pin-source")
            if name not in known or name in parts:
                # Not quoted: it may be the PIN.
                raise KeystoreError(
                    "pkcs11: a part is unknown or doubled; there are token, object, module-path "
                    "and pin-source"
                )
            parts[name] = unquote(value)
    missing = {"token", "object", "module-path"} - {name for name, value in parts.items() if value}
    if missing:
        raise KeystoreError(f"pkcs11: {', '.join(sorted(missing))} is missing")
    pin = SecretSource(parts.get("pin-source", "prompt"), f"PIN of token {parts['token']}", base)
    return TokenKey(Path(parts["module-path"]), parts["token"], parts["object"], pin)


class Pkcs11Provider:
    """A provider whose key is in a token.

    The session stays open until `close`, so that the PIN is asked for once and not kept.

    Args:
        place: the token and its key.

    Raises:
        KeystoreError: the extra `hsm`, the token or the key is missing, the PIN is wrong
            or locked, or the key could leave the token.
    """

    name = "pkcs11"

    def __init__(self, place: TokenKey) -> None:
        self._place = place
        self._lock = threading.Lock()  # a session is for one thread at a time
        self._session = _open_session(place, writing=False)
        try:
            self._key = _find_key(self._session, place)
        except BaseException:
            self._session.close()
            raise

    def __repr__(self) -> str:
        return f"Pkcs11Provider(token={self._place.token!r}, object={self._place.label!r})"

    def wrap(self, data_key: bytes | bytearray, context: bytes) -> bytes:
        """See `KeyProvider.wrap`."""
        nonce = os.urandom(NONCE_BYTES)
        with self._lock, _told(self._place, "wrap"):
            sealed: bytes = self._key.encrypt(
                bytes(data_key),
                mechanism=Mechanism.AES_GCM,
                mechanism_param=GCMParams(nonce, context),
            )
        return nonce + sealed

    def unwrap(self, wrapped: bytes, context: bytes) -> bytearray:
        """See `KeyProvider.unwrap`."""
        if len(wrapped) != NONCE_BYTES + KEY_BYTES + TAG_BYTES:
            raise KeystoreError("the wrapped key is cut: the file was changed")
        nonce, sealed = wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:]
        with self._lock, _told(self._place, "unwrap"):
            data_key: bytes = self._key.decrypt(
                sealed, mechanism=Mechanism.AES_GCM, mechanism_param=GCMParams(nonce, context)
            )
        return bytearray(data_key)

    def close(self) -> None:
        """See `KeyProvider.close`."""
        self._session.close()


def create_token_key(place: TokenKey) -> None:
    """Make an AES-256 key in a token that cannot leave it.

    Raises:
        KeystoreError: the token is missing, the PIN is wrong or locked, the token makes no
            such key, or there is one of that label.
    """
    session = _open_session(place, writing=True)
    try:
        with _told(place, "make a key"):
            template = {Attribute.CLASS: ObjectClass.SECRET_KEY, Attribute.LABEL: place.label}
            if any(True for _ in session.get_objects(template)):
                raise KeystoreError(
                    f"token {place.token}: has a key {place.label!r} already; none is overwritten"
                )
            session.generate_key(
                KeyType.AES,
                8 * KEY_BYTES,
                label=place.label,
                store=True,
                capabilities=MechanismFlag.ENCRYPT | MechanismFlag.DECRYPT,
                template={Attribute.EXTRACTABLE: False, Attribute.SENSITIVE: True},
            )
    finally:
        session.close()


def _open_session(place: TokenKey, writing: bool) -> Any:
    try:
        library = pkcs11.lib(str(place.module))
    except pkcs11.PKCS11Error as error:
        raise KeystoreError(f"{place.module}: no PKCS#11 library, or it does not start") from error
    with _told(place, "open"):
        # The token first: nobody is asked for the PIN of one that is not there.
        token = library.get_token(token_label=place.token)
        pin = place.pin.read()
        try:
            return token.open(rw=writing, user_pin=_text_of(pin, place))
        except pkcs11.UserAlreadyLoggedIn:
            # To PKCS#11 a whole process is logged in to a token, not one session of it.
            return token.open(rw=writing)
        finally:
            pin[:] = bytes(len(pin))


def _text_of(pin: bytearray, place: TokenKey) -> str:
    try:
        return pin.decode()
    except UnicodeDecodeError:
        raise KeystoreError(f"{place.pin.what}: not written in UTF-8") from None


def _find_key(session: Any, place: TokenKey) -> Any:
    with _told(place, "find its key"):
        key = session.get_key(
            object_class=ObjectClass.SECRET_KEY, key_type=KeyType.AES, label=place.label
        )
        if key[Attribute.EXTRACTABLE] or not key[Attribute.SENSITIVE]:
            raise KeystoreError(
                f"token {place.token}: key {place.label!r} can leave the token: make another, "
                "with `padan keys init`"
            )
    return key


@contextmanager
def _told(place: TokenKey, doing: str) -> Iterator[None]:
    """Turn what the library raises into an error that says what to do."""
    where = f"token {place.token}"
    try:
        yield
    except raised.PinLocked as error:
        raise KeystoreError(
            f"{where}: its PIN is locked: its security officer unlocks it; nothing was lost"
        ) from error
    except (raised.PinIncorrect, raised.PinInvalid, raised.PinLenRange) as error:
        raise KeystoreError(
            f"{where}: wrong PIN: look it up before trying again, most tokens lock after a few"
        ) from error
    except (raised.NoSuchToken, raised.TokenNotPresent, raised.DeviceRemoved) as error:
        raise KeystoreError(f"{where}: is not there: connect it, and check its label") from error
    except (raised.NoSuchKey, raised.MultipleObjectsReturned) as error:
        raise KeystoreError(
            f"{where}: has no AES key {place.label!r}, or several: `padan keys init` makes one"
        ) from error
    except (raised.SessionHandleInvalid, raised.SessionClosed, raised.DeviceError) as error:
        raise KeystoreError(
            f"{where}: does not answer any more: check it and start again; nothing was lost"
        ) from error
    except raised.PKCS11Error as error:
        if doing != "unwrap":
            raise KeystoreError(f"{where}: could not {doing} ({type(error).__name__})") from error
        # What a token raises for a wrong tag differs: SoftHSM knows only a general error.
        raise KeystoreError(
            f"{where}: its key does not open this file, or the file was changed "
            f"({type(error).__name__})"
        ) from error
