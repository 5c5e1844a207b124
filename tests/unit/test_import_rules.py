"""The threat model as an import rule, asserted on what a process has really loaded."""

import json
import subprocess
import sys

import pytest

_SHOW = "import {module}, json, sys; print(json.dumps(sorted(sys.modules)))"
# Whoever has these could make encodings or look behind them.
_SECRET_SIDE = (
    "linkage.normalise",
    "linkage.encode",
    "linkage.privacy",
    "linkage.synthetic",
    "linkage.agent",
    "keys.derive",
    "keys.exchange",
    "keys.delegation",
)


def loaded_by(module: str) -> set[str]:
    """All modules of a fresh process that imports one."""
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", _SHOW.format(module=module)],
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return set(json.loads(shown.stdout))


def under(modules: set[str], *names: str) -> list[str]:
    return sorted(m for m in modules for name in names if m == name or m.startswith(f"{name}."))


@pytest.mark.parametrize(
    "module",
    ["linkage.matcher.server", "linkage.audit.verify", "linkage.audit.fetch", "linkage.engine"],
)
def test_who_never_sees_personal_data_cannot_encode_or_derive(module: str) -> None:
    modules = loaded_by(module)
    assert module in modules
    assert under(modules, *_SECRET_SIDE) == []


def test_the_matcher_loads_what_it_is_made_of() -> None:
    # The test above would pass on a server that loads nothing.
    modules = loaded_by("linkage.matcher.server")
    assert {"linkage.matcher.worker", "linkage.compare.kernels", "grpc"} <= modules
    assert under(modules, "linkage.audit") == []


def test_the_offline_verifier_loads_no_network_and_no_server_code() -> None:
    modules = loaded_by("linkage.audit.verify")
    assert "linkage.log.tiles" in modules
    forbidden = ("grpc", "sqlalchemy", "google.protobuf", "numpy", "numba", "pyarrow")
    ours = ("linkage.matcher", "linkage.store", "linkage.rpc", "linkage.engine", "linkage.v1")
    assert under(modules, *forbidden, *ours) == []


def test_the_agent_loads_nothing_of_the_matcher() -> None:
    modules = loaded_by("linkage.agent.run")
    assert {"linkage.normalise", "linkage.encode"} <= modules
    assert under(modules, "linkage.matcher", "linkage.audit") == []


def test_keys_load_nothing_of_linkage() -> None:
    modules = loaded_by("keys.keystore, keys.identity, keys.derive")
    assert under(modules, "linkage", "numpy", "pydantic", "grpc", "sqlalchemy") == []


def test_the_command_line_loads_no_role_before_it_is_asked_to() -> None:
    modules = loaded_by("linkage.cli")
    roles = ("linkage.agent", "linkage.matcher", "linkage.audit")
    assert under(modules, *roles, "numba", "grpc", "sqlalchemy", "pyarrow") == []
