"""The Go verifier is built once for all tests of the log."""

import pytest
from three_verifiers import GoVerifier, build_go_verifier


@pytest.fixture(scope="session")
def go(tmp_path_factory: pytest.TempPathFactory) -> GoVerifier:
    folder = tmp_path_factory.mktemp("go")
    return GoVerifier(build_go_verifier(folder), folder)
