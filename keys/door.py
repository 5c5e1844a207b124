"""The one door to every provider: which one, and where its secret comes from, is one setting.

    file:/etc/padan/kek                        32 bytes in a file (a bare path says the same)
    credential:kek                             the same, handed to a service by systemd
    passphrase:prompt                          Argon2id over what is typed; or passphrase:fd:3,
                                               passphrase:file:/run/credentials/padan
    pkcs11:token=padan;object=kek?module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=fd:3
    vault:https://bao.example:8200/transit/padan?token-source=file:/run/token

No setting ever holds a secret. Nor is one taken from the header of a keystore file: that
is not verified before the file is open, and a name in it could load any library.
"""

import re
from pathlib import Path

from keys.errors import KeystoreError
from keys.files import credential_path
from keys.passphrase import PassphraseProvider
from keys.providers import FileProvider, KeyProvider, create_key_file
from keys.secretsource import SecretSource
from keys.vault import VaultProvider, create_transit_key, parse_transit_key

_SCHEME = re.compile(r"([a-z][a-z0-9]*):(.*)", re.DOTALL)
_UNKNOWN = "a provider is file:, credential:, passphrase:, pkcs11: or vault:, or the path of a file"


def open_provider(setting: str, base: Path = Path(), *, confirm: bool = False) -> KeyProvider:
    """Return the provider that a setting names; asks for its secret where there is one.

    Args:
        setting: as at the top of this module.
        base: relative paths count from here.
        confirm: something new is to be sealed: have a passphrase typed twice.

    Raises:
        KeystoreError: no such provider, a library for it is missing, or it cannot be opened.
    """
    match _split(setting):
        case "file", path:
            return FileProvider(base / path)
        case "credential", name:
            return FileProvider(credential_path(name))
        case "passphrase", source:
            what = "new passphrase" if confirm else "passphrase"
            return PassphraseProvider(SecretSource(source, what, base).read(confirm))
        case "pkcs11", rest:
            from keys.pkcs11 import Pkcs11Provider, parse_token_key  # noqa: PLC0415 -- of an extra

            return Pkcs11Provider(parse_token_key(rest, base))
        case "vault", rest:
            return VaultProvider(parse_transit_key(rest, base))
    raise KeystoreError(_UNKNOWN)


def based(setting: str, base: Path) -> str:
    """Return a setting in which the path of a key file does not depend on the folder.

    Args:
        setting: as at the top of this module; of other providers it stays as it is.
        base: a relative path counts from here.
    """
    scheme, rest = _split(setting)
    return f"file:{base / rest}" if scheme == "file" else setting


def prepare_provider(setting: str, base: Path = Path()) -> None:
    """Make the key-encryption key of a provider, once, where it is to be.

    A passphrase needs none: its key comes from the passphrase.

    Raises:
        KeystoreError: there is one already, or it cannot be made.
    """
    match _split(setting):
        case "file", path:
            create_key_file(base / path)
        case "credential", _:
            raise KeystoreError(
                "a credential is only handed on: make the file that LoadCredential= names, with "
                "file:PATH"
            )
        case "passphrase", _:
            raise KeystoreError("a passphrase needs no key of its own: go on with `padan keys new`")
        case "pkcs11", rest:
            from keys.pkcs11 import create_token_key, parse_token_key  # noqa: PLC0415 -- as above

            create_token_key(parse_token_key(rest, base))
        case "vault", rest:
            create_transit_key(parse_transit_key(rest, base))
        case _:
            raise KeystoreError(_UNKNOWN)


def _split(setting: str) -> tuple[str, str]:
    match = _SCHEME.fullmatch(setting)
    return (match[1], match[2]) if match else ("file", setting)
