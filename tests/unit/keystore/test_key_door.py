"""Settings of providers: each names one, and none holds a secret."""

import subprocess
import sys
from pathlib import Path

import pytest

from keys.door import open_provider, prepare_provider
from keys.errors import KeystoreError
from keys.vault import parse_transit_key


@pytest.mark.parametrize("setting", ["kek", "file:kek", "./kek", "file:./kek"])
def test_a_path_counts_from_the_settings_folder(tmp_path: Path, kek: Path, setting: str) -> None:
    assert kek.parent == tmp_path
    assert open_provider(setting, tmp_path).name == "file"
    assert open_provider(str(kek), Path("/elsewhere")).name == "file"


def test_a_passphrase_provider_reads_its_passphrase(tmp_path: Path) -> None:
    (tmp_path / "pass").write_bytes(b"enam kata acak\n")
    (tmp_path / "pass").chmod(0o600)
    assert open_provider("passphrase:file:pass", tmp_path).name == "passphrase"


def test_a_key_file_is_prepared_once(tmp_path: Path) -> None:
    prepare_provider("file:kek", tmp_path)
    assert len((tmp_path / "kek").read_bytes()) == 32
    with pytest.raises(KeystoreError, match="never overwritten"):
        prepare_provider("kek", tmp_path)


def test_a_passphrase_has_nothing_to_prepare() -> None:
    with pytest.raises(KeystoreError, match="needs no key of its own"):
        prepare_provider("passphrase:prompt")


@pytest.mark.parametrize("door", [open_provider, prepare_provider])
def test_an_unknown_provider_is_refused(door: object) -> None:
    assert callable(door)
    with pytest.raises(KeystoreError, match="a provider is file:, credential:, passphrase:"):
        door("awskms:alias/padan")


@pytest.mark.parametrize(
    "setting",
    [
        "passphrase:rahasia sekali",
        "vault:https://bao.example/transit/padan?token-source=rahasia",
        "vault:https://rahasia@bao.example/transit/padan",
        "vault:https://u:rahasia@bao.example/transit/padan",
        "vault:https://bao.example/transit/padan?token=rahasia",
        "vault:http://bao.example/transit/rahasia",
        "vault:https://bao.example/rahasia",
        "vault:https://bao.example/transit/padan#rahasia",
        "vault:https://bao.example:rahasia/transit/padan",
        "vault:https:///transit/rahasia",
        "vault:ftp://127.0.0.1/transit/rahasia",
        "vault:https://bao.example/transit/../rahasia/x y",
    ],
)
def test_a_secret_in_a_setting_is_refused_and_not_shown(setting: str) -> None:
    with pytest.raises(KeystoreError) as caught:
        open_provider(setting)
    assert "rahasia" not in str(caught.value)


def test_a_transit_key_is_found_by_its_address() -> None:
    place = parse_transit_key("https://bao.example/a/transit/padan?token-source=fd:3&ca=ca.pem")
    assert (place.host, place.port, place.mount, place.key) == (
        "bao.example",
        8200,
        "a/transit",
        "padan",
    )
    assert (place.authority, place.plain) == (Path("ca.pem"), False)


def test_the_door_loads_no_library_of_an_extra() -> None:
    program = (
        "import keys.door, keys.keystore, sys; "
        "print([m for m in sys.modules if m.startswith(('pkcs11', 'shamir', 'hvac', 'linkage'))])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost"])
def test_without_tls_a_server_is_on_this_machine(host: str) -> None:
    assert parse_transit_key(f"http://{host}:8200/transit/padan").plain
