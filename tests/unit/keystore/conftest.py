"""What the tests of keystores share."""

from pathlib import Path

import pytest

from keys.providers import FileProvider, create_key_file


@pytest.fixture
def kek(tmp_path: Path) -> Path:
    """A key-encryption key in a file."""
    create_key_file(tmp_path / "kek")
    return tmp_path / "kek"


@pytest.fixture
def provider(kek: Path) -> FileProvider:
    return FileProvider(kek)
