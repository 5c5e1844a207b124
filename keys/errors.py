"""The errors of this package."""


class KeysError(Exception):
    """A key cannot be made, opened or used; the text holds no key material."""


class KeystoreError(KeysError):
    """A keystore file is damaged, not ours, or its provider does not open it."""
