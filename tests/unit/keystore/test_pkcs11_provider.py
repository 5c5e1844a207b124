"""A key in a token of SoftHSM: it opens keystores, never leaves, and fails with clear words."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pkcs11", reason="needs python-pkcs11: pip install 'padan[hsm]'")

import pkcs11

from keys.door import open_provider, prepare_provider
from keys.errors import KeystoreError
from keys.keystore import new_header, open_keystore, rewrap, write_keystore
from keys.pkcs11 import Pkcs11Provider, parse_token_key
from keys.providers import FileProvider

MODULES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib64/softhsm/libsofthsm2.so",
    "/usr/local/lib/softhsm/libsofthsm2.so",
)
PIN, SO_PIN = "481516", "234242"
DATA_KEY = bytes(range(32))


@pytest.fixture(scope="module")
def softhsm() -> tuple[str, str]:
    """The library and the tool that makes tokens."""
    found = [path for path in MODULES if Path(path).exists()]
    tool = shutil.which("softhsm2-util")
    if not found or tool is None:
        pytest.skip("needs SoftHSM: apt-get install softhsm2")
    return found[0], tool


@pytest.fixture(scope="module")
def token(softhsm: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> str:
    """A setting for a token of this module's own, without its PIN."""
    library, tool = softhsm
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    # SoftHSM reads it when the library starts, once in a process.
    os.environ["SOFTHSM2_CONF"] = str(config)
    subprocess.run(
        [
            tool, "--init-token", "--free", "--label", "padan", "--pin", PIN,
            "--so-pin", SO_PIN,
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )  # fmt: skip
    (folder / "pin").write_text(PIN)
    (folder / "pin").chmod(0o600)
    setting = f"pkcs11:token=padan;object=kek?module-path={library}&pin-source=file:"
    prepare_provider(f"{setting}{folder / 'pin'}")
    return setting


@pytest.fixture
def pin(tmp_path: Path) -> Path:
    (tmp_path / "pin").write_text(PIN)
    (tmp_path / "pin").chmod(0o600)
    return tmp_path / "pin"


def opened(setting: str) -> Pkcs11Provider:
    provider = open_provider(setting)
    assert isinstance(provider, Pkcs11Provider)
    return provider


def in_a_fresh_process(setting: str) -> str:
    """What opening says in a process that has not logged in yet."""
    program = "import sys; from keys.door import open_provider; open_provider(sys.argv[1])"
    done = subprocess.run(
        [sys.executable, "-c", program, setting],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.stderr


def test_a_keystore_under_a_token_opens_again(token: str, pin: Path, tmp_path: Path) -> None:
    provider = opened(f"{token}{pin}")
    path = tmp_path / "sign.key"
    write_keystore(path, DATA_KEY, new_header("sign", provider), provider)
    provider.close()
    assert open_keystore(path, opened(f"{token}{pin}"))[1] == DATA_KEY


def test_a_keystore_moves_from_a_file_into_a_token(
    token: str, pin: Path, tmp_path: Path, provider: FileProvider
) -> None:
    path = tmp_path / "sign.key"
    write_keystore(path, DATA_KEY, new_header("sign", provider), provider)
    one = opened(f"{token}{pin}")
    rewrap(path, provider, one)
    assert open_keystore(path, one)[1] == DATA_KEY
    with pytest.raises(KeystoreError, match="sealed by provider 'pkcs11', not 'file'"):
        open_keystore(path, provider)


def test_a_wrapped_key_opens_in_no_other_context_and_not_changed(token: str, pin: Path) -> None:
    provider = opened(f"{token}{pin}")
    wrapped = provider.wrap(DATA_KEY, b"context")
    assert provider.unwrap(wrapped, b"context") == DATA_KEY
    refused = [(wrapped, b"Context"), (wrapped[:-1], b"context"), (b"", b"context")]
    for at in range(len(wrapped)):
        changed = bytearray(wrapped)
        changed[at] ^= 1 << at % 8
        refused.append((bytes(changed), b"context"))
    for bad, context in refused:
        with pytest.raises(KeystoreError, match="the file was changed"):
            provider.unwrap(bad, context)
    assert provider.unwrap(wrapped, b"context") == DATA_KEY


def test_the_key_cannot_leave_the_token(token: str, pin: Path) -> None:
    key = opened(f"{token}{pin}")._key
    assert key[pkcs11.Attribute.EXTRACTABLE] is False
    assert key[pkcs11.Attribute.NEVER_EXTRACTABLE] is True
    assert key[pkcs11.Attribute.SENSITIVE] is True
    with pytest.raises(pkcs11.exceptions.PKCS11Error):
        key[pkcs11.Attribute.VALUE]


def test_a_key_that_could_leave_the_token_is_refused(token: str, pin: Path) -> None:
    setting = f"{token}{pin}".replace("object=kek", "object=loose")
    session = opened(f"{token}{pin}")._session.token.open(rw=True)
    session.generate_key(
        pkcs11.KeyType.AES,
        256,
        label="loose",
        store=True,
        template={pkcs11.Attribute.EXTRACTABLE: True, pkcs11.Attribute.SENSITIVE: False},
    )
    session.close()
    with pytest.raises(KeystoreError, match="key 'loose' can leave the token"):
        open_provider(setting)


def test_a_key_of_the_same_name_is_not_made_twice(token: str, pin: Path) -> None:
    with pytest.raises(KeystoreError, match="has a key 'kek' already; none is overwritten"):
        prepare_provider(f"{token}{pin}")


def test_a_wrong_pin_is_told_and_not_shown(token: str, pin: Path) -> None:
    pin.write_text("999999")
    said = in_a_fresh_process(f"{token}{pin}")
    assert "token padan: wrong PIN: look it up before trying again" in said
    assert "999999" not in said
    pin.write_text(PIN)
    assert in_a_fresh_process(f"{token}{pin}") == ""


def test_a_locked_pin_is_told(token: str, pin: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # SoftHSM never locks: the token's answer is put in its mouth.
    def locked(*_: object, **__: object) -> None:
        raise pkcs11.exceptions.PinLocked

    class Library:
        def get_token(self, **_: object) -> "Library":
            return self

        open = locked

    monkeypatch.setattr(pkcs11, "lib", lambda _: Library())
    with pytest.raises(KeystoreError, match=r"PIN is locked: .* nothing was lost"):
        open_provider(f"{token}{pin}")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("token=padan", "token=other", "token other: is not there: connect it"),
        ("object=kek", "object=none", "has no AES key 'none', or several: `padan keys init`"),
        ("libsofthsm2.so", "none.so", "no PKCS#11 library, or it does not start"),
    ],
)
def test_what_is_not_there_is_named(token: str, pin: Path, old: str, new: str, words: str) -> None:
    assert words in in_a_fresh_process(f"{token}{pin}".replace(old, new))


def test_a_token_that_is_gone_costs_nothing(token: str, pin: Path, tmp_path: Path) -> None:
    provider = opened(f"{token}{pin}")
    path = tmp_path / "sign.key"
    write_keystore(path, DATA_KEY, new_header("sign", provider), provider)
    content = path.read_bytes()
    provider.close()
    with pytest.raises(KeystoreError, match="token padan: "):
        rewrap(path, provider, provider)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "setting",
    [
        "token=padan;object=kek?module-path=/x.so&pin-value=481516",
        "token=padan;object=kek?module-path=/x.so&pin-source=481516",
        "token=padan;object=kek;pin=481516?module-path=/x.so",
        "token=padan;object=kek;481516?module-path=/x.so",
    ],
)
def test_a_pin_in_a_setting_is_refused_and_not_shown(setting: str) -> None:
    with pytest.raises(KeystoreError) as caught:
        parse_token_key(setting)
    assert "481516" not in str(caught.value)


@pytest.mark.parametrize("setting", ["", "token=padan", "token=;object=kek?module-path=/x.so"])
def test_a_setting_that_is_not_whole_is_refused(setting: str) -> None:
    with pytest.raises(KeystoreError, match=r"pkcs11: .* is missing"):
        parse_token_key(setting)


def test_labels_are_percent_encoded_as_in_the_standard() -> None:
    place = parse_token_key("token=Dukcapil%20HSM;object=k%3Bk?module-path=/x%26y.so")
    assert (place.token, place.label, str(place.module)) == ("Dukcapil HSM", "k;k", "/x&y.so")
