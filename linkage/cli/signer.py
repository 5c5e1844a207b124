"""The signing key of whoever runs a command, from its keystore file."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from keys.dsse import Ed25519Signer
    from keys.providers import KeyProvider

SIGNS = "sign"


def signing_options(command: Any) -> Any:
    """Add `--key` and `--provider` to a command that signs."""
    provider = click.option(
        "--provider", "setting", required=True, help="What opens it: see `padan keys new --help`."
    )
    key = click.option(
        "--key",
        required=True,
        type=click.Path(path_type=Path),
        help="Keystore file of the signing key.",
    )
    return key(provider(command))


@contextmanager
def signing_with(path: Path, opener: "str | KeyProvider") -> Iterator["Ed25519Signer"]:
    """Open a signing key for as long as a `with` block runs.

    Args:
        path: keystore file of a key of kind `sign`.
        opener: what opens it: a provider that stays open, or the setting of one.

    Raises:
        KeystoreError: it cannot be opened, or may not be used now.
        ConfigError: it is a key of another kind.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from keys.door import open_provider
    from keys.dsse import Ed25519Signer
    from keys.keystore import unsealed
    from keys.process import shield_process
    from linkage.errors import ConfigError

    shield_process()
    with ExitStack() as stack:
        provider = opener
        if isinstance(provider, str):
            provider = open_provider(provider)
            stack.callback(provider.close)
        header, secret = stack.enter_context(unsealed(path, provider))
        if header.kind != SIGNS:
            problem = f"holds a {header.kind} key: name one that `padan keys new {SIGNS}` made"
            raise ConfigError(str(path), [problem])
        yield Ed25519Signer(Ed25519PrivateKey.from_private_bytes(secret))
