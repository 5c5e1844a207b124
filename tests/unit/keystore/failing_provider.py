"""A provider that fails."""

from keys.errors import KeystoreError
from keys.providers import FileProvider


class FailingProvider:
    """A provider that is gone, from a given call on, as a token that was pulled out."""

    name = "file"

    def __init__(self, inner: FileProvider, good_calls: int) -> None:
        self._inner, self._left = inner, good_calls

    def wrap(self, data_key: bytes | bytearray, context: bytes) -> bytes:
        self._count()
        return self._inner.wrap(data_key, context)

    def unwrap(self, wrapped: bytes, context: bytes) -> bytearray:
        self._count()
        return self._inner.unwrap(wrapped, context)

    def close(self) -> None:
        self._inner.close()

    def _count(self) -> None:
        self._left -= 1
        if self._left < 0:
            raise KeystoreError("the provider is gone")
