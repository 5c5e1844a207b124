"""What `padan` says to a wrong setting or option: words and an exit code, never a traceback."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from keys.identity import Identity, ThrowawayAuthority
from keys.keystore import new_header, write_keystore
from keys.providers import FileProvider, create_key_file
from linkage.agent.config import load_agent
from linkage.agent.session import load_trust
from linkage.cli import demo_site, padan
from linkage.cli.demo_data import DemoData
from linkage.cli.demo_site import DemoSite
from linkage.errors import ConfigError, LinkageError
from linkage.log.policy import parse_policy
from linkage.matcher.config import load_config
from linkage.rpc.tls import TlsFiles

NOW = datetime.now(UTC)
KEY_BYTES = 32
ADMINISTRATOR, ANOTHER = (base64.b64encode(bytes([n]) * KEY_BYTES).decode() for n in (1, 2))


def invoke(*arguments: str | Path) -> Result:
    return CliRunner().invoke(padan, [str(word) for word in arguments])


def padan_process(*arguments: str | Path | bytes) -> "subprocess.CompletedProcess[str]":
    """A process of its own: the exit code and words are those a person gets."""
    command: list[str | Path | bytes] = [sys.executable, "-m", "linkage.cli", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def write_tls(folder: Path, issued: datetime = NOW) -> TlsFiles:
    authority = ThrowawayAuthority(issued, days=1)
    credential = authority.issue(Identity("padan.test", "matcher", "matcher"), ("127.0.0.1",))
    files = TlsFiles(folder / "certificate.pem", folder / "key.pem", folder / "authority.pem")
    files.certificate.write_bytes(credential.certificate)
    files.private_key.write_bytes(credential.private_key)
    files.authority.write_bytes(authority.certificate)
    return files


def write_matcher(
    folder: Path,
    listen: str = "127.0.0.1:0",
    administrators: Sequence[str] = (ADMINISTRATOR,),
    threshold: int = 1,
) -> Path:
    path = folder / "matcher.toml"
    path.write_text(
        f'trust_domain = "padan.test"\nlisten = {json.dumps(listen)}\ndata = "data"\n'
        'keystore = "keystore"\n'
        '[tls]\ncertificate = "certificate.pem"\nprivate_key = "key.pem"\n'
        'authority = "authority.pem"\n'
        '[log]\norigin = "padan.test/log"\nsigning_key = "keystore/log.key"\n'
        'key_encryption_key = "keystore/kek"\n'
        f"administrators = {json.dumps(administrators)}\nthreshold = {threshold}\n"
    )
    return path


# The key of the match log, and its trust file


def test_without_a_folder_for_the_trust_file_no_key_is_made(tmp_path: Path) -> None:
    config = write_matcher(tmp_path)
    done = invoke("matcher", "init-log", "--config", config, "--trust", tmp_path / "no" / "t.txt")
    assert isinstance(done.exception, ConfigError)
    assert "is no folder" in str(done.exception)
    assert not (tmp_path / "keystore").exists()


def test_a_lost_trust_file_is_written_again_from_the_key_there_is(tmp_path: Path) -> None:
    config, trust = write_matcher(tmp_path), tmp_path / "trust.txt"
    assert invoke("matcher", "init-log", "--config", config, "--trust", trust).exit_code == 0
    first = trust.read_bytes()
    assert [line.key.algorithm for line in parse_policy(first).logs] == [0x01, 0x06]
    key = (tmp_path / "keystore" / "log.key").read_bytes()
    trust.unlink()
    done = invoke("matcher", "init-log", "--config", config, "--trust", trust)
    assert done.exit_code == 0
    assert done.stderr.count("exists, and is kept") == 2
    assert trust.read_bytes() == first
    assert (tmp_path / "keystore" / "log.key").read_bytes() == key


def test_a_log_with_one_key_gets_its_second(tmp_path: Path) -> None:
    config, trust = write_matcher(tmp_path), tmp_path / "trust.txt"
    invoke("matcher", "init-log", "--config", config, "--trust", trust)
    first, lattice = parse_policy(trust.read_bytes()), tmp_path / "keystore" / "log-ml-dsa.key"
    lattice.unlink()
    assert invoke("matcher", "init-log", "--config", config, "--trust", trust).exit_code == 0
    second = parse_policy(trust.read_bytes())
    assert first.logs[0] == second.logs[0]
    assert first.logs[1] != second.logs[1]
    assert lattice.exists()


def test_a_key_of_another_kind_signs_no_log(tmp_path: Path) -> None:
    config = write_matcher(tmp_path)
    keystore = tmp_path / "keystore"
    keystore.mkdir()
    create_key_file(keystore / "kek")
    provider = FileProvider(keystore / "kek")
    header = new_header("linkage", provider, "PKS-1", 1)
    write_keystore(keystore / "log.key", bytes(KEY_BYTES), header, provider)
    done = invoke("matcher", "init-log", "--config", config, "--trust", tmp_path / "t.txt")
    assert isinstance(done.exception, ConfigError)
    assert "holds a linkage key" in str(done.exception)


# Who enrols


def test_whom_a_matcher_serves_is_no_matter_of_its_settings(tmp_path: Path) -> None:
    config = write_matcher(tmp_path)
    for name in ("parties", "auditors"):
        config.write_text(f'{name} = ["dukcapil"]\n' + config.read_text())
    with pytest.raises(ConfigError) as caught:
        load_config(config)
    assert sorted(caught.value.problems) == [
        "auditors: Extra inputs are not permitted",
        "parties: Extra inputs are not permitted",
    ]


@pytest.mark.parametrize(
    ("administrators", "threshold", "words"),
    [
        ((), 1, "log.administrators: "),
        (("nonsense",), 1, "log.administrators.0: a key is the base64 of 32 bytes"),
        ((ADMINISTRATOR[:-1],), 1, "log.administrators.0: a key is the base64 of 32 bytes"),
        ((ADMINISTRATOR, "AAAA"), 1, "log.administrators.1: a key is the base64 of 32 bytes"),
        ((ADMINISTRATOR, ADMINISTRATOR), 1, "administrators: one is listed twice"),
        ((ADMINISTRATOR,), 0, "log.threshold: "),
        ((ADMINISTRATOR, ANOTHER), 3, "threshold: more than there are administrators"),
    ],
)
def test_administrators_are_keys_each_once_and_enough_of_them(
    tmp_path: Path, administrators: Sequence[str], threshold: int, words: str
) -> None:
    config = write_matcher(tmp_path, administrators=administrators, threshold=threshold)
    with pytest.raises(ConfigError) as caught:
        load_config(config)
    assert words in caught.value.problems[0]


def test_as_many_administrators_as_there_are_may_have_to_sign(tmp_path: Path) -> None:
    config = write_matcher(tmp_path, administrators=(ADMINISTRATOR, ANOTHER), threshold=2)
    assert load_config(config).log.administrators == (ADMINISTRATOR, ANOTHER)


# The matcher's address and certificates


@pytest.mark.parametrize(
    "listen", ["nonsense", "127.0.0.1", ":8443", "127.0.0.1:x", "127.0.0.1:99999", ""]
)
def test_an_address_without_host_or_port_is_a_matter_of_settings(
    tmp_path: Path, listen: str
) -> None:
    done = invoke("matcher", "serve", "--config", write_matcher(tmp_path, listen))
    assert isinstance(done.exception, ConfigError)
    assert "listen: " in str(done.exception)


def test_an_address_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    config = write_matcher(tmp_path, "192.0.2.1:8443")  # an address of no machine (RFC 5737)
    write_tls(tmp_path)
    invoke("matcher", "init-log", "--config", config, "--trust", tmp_path / "trust.txt")
    done = padan_process("matcher", "serve", "--config", config)
    assert done.returncode == 1
    assert "192.0.2.1:8443: cannot listen there" in done.stderr


def test_good_tls_files_are_read(tmp_path: Path) -> None:
    files = write_tls(tmp_path)
    assert files.read(NOW)[0] == files.certificate.read_bytes()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("certificate", "certificate.pem: not a certificate in PEM form"),
        ("private_key", "key.pem: not a private key in PEM form"),
        ("authority", "authority.pem: not a certificate in PEM form"),
    ],
)
@pytest.mark.parametrize("content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAA=="])
def test_a_damaged_tls_file_is_named(tmp_path: Path, name: str, words: str, content: bytes) -> None:
    files = write_tls(tmp_path)
    getattr(files, name).write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        files.read(NOW)
    (problem,) = caught.value.problems
    assert words in problem


def test_expired_certificates_are_named(tmp_path: Path) -> None:
    files = write_tls(tmp_path)
    with pytest.raises(ConfigError, match=r"certificate.pem: expired on [^\n]*\n.*authority.pem"):
        files.read(NOW + timedelta(days=2))


def test_an_old_authority_beside_the_new_one_does_no_harm(tmp_path: Path) -> None:
    files = write_tls(tmp_path)
    old = ThrowawayAuthority(NOW - timedelta(days=9), days=1)
    files.authority.write_bytes(old.certificate + files.authority.read_bytes())
    files.read(NOW)


def test_an_own_certificate_that_expired_is_not_saved_by_its_chain(tmp_path: Path) -> None:
    files = write_tls(tmp_path)
    own = ThrowawayAuthority(NOW - timedelta(days=9), days=1).certificate
    files.certificate.write_bytes(own + files.certificate.read_bytes())
    with pytest.raises(ConfigError, match=r"certificate.pem: expired"):
        files.read(NOW)


def test_a_key_of_another_certificate_is_named(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    files, other = write_tls(tmp_path), write_tls(tmp_path / "other")
    files.private_key.write_bytes(other.private_key.read_bytes())
    with pytest.raises(ConfigError, match=r"key.pem: not the key of the certificate"):
        files.read(NOW)


# The agent


@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_a_trust_file_that_is_none_is_named(tmp_path: Path, content: bytes | None) -> None:
    trust = tmp_path / "trust.txt"
    if content is not None:
        trust.write_bytes(content)
    with pytest.raises(ConfigError, match=r"trust\.txt"):
        load_trust(trust)


@pytest.mark.parametrize(
    "arguments",
    [
        ("agent", "request", "--party", "b", "--collect-timeout", "-5"),
        ("agent", "request", "--party", "b", "--collect-timeout", "99999999"),
        ("agent", "request", "--party", "B!"),
        ("agent", "run", "--job", "x/y"),
        ("agent", "run", "--job", ""),
        ("agent", "cancel", "--job", "a" * 33),
        ("evaluate", "--schema", "s", "--input", "i", "--truth", "t", "--threads", "0"),
    ],
)
def test_an_option_out_of_range_is_a_matter_of_usage(arguments: tuple[str, ...]) -> None:
    config = ("--config", "agent.toml") if arguments[0] == "agent" else ()
    done = invoke(*arguments, *config)
    assert done.exit_code == 2
    assert "Invalid value" in done.stderr


def test_a_job_id_that_is_no_text_is_a_matter_of_usage() -> None:
    done = padan_process("agent", "run", "--config", "agent.toml", "--job", b"x\xff")
    assert done.returncode == 2
    assert "not a job id" in done.stderr


# Every command


MAIN = """
import os, pathlib, sys
import click
from linkage import cli

@cli.padan.command("write")
@click.argument("path", type=click.Path(path_type=pathlib.Path))
def write(path):
    path.write_bytes(b"")

cli._COMMANDS["write"] = ("__main__", "write")
os.umask(0)
cli.main()
"""


def run_main(path: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", MAIN, "write", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    done = run_main(tmp_path / "none" / "b.tar")
    assert done.returncode == 2
    assert done.stderr == f"padan: {tmp_path / 'none' / 'b.tar'}: No such file or directory\n"


def test_what_a_command_writes_its_owner_alone_reads(tmp_path: Path) -> None:
    assert run_main(tmp_path / "a").returncode == 0
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


# The demonstration's agents


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DemoSite:
    """Agents that are shell scripts: one fails at once, the others wait for ever."""
    script = tmp_path / "agent.sh"
    script.write_text(
        'case "$*" in */slow/*) echo $$ > "$0.pid"; exec sleep 600;; '
        f"*/bad/*) until test -s {script}.pid; do sleep 0.02; done; echo no source >&2; exit 1;; "
        "esac\n"
    )
    monkeypatch.setattr(demo_site, "_PROGRAM", ("/bin/sh", str(script)))
    return DemoSite(tmp_path, DemoData("", {"slow": None, "bad": None}))  # type: ignore[dict-item]


def test_the_first_agent_that_fails_stops_the_others(site: DemoSite) -> None:
    with pytest.raises(LinkageError, match=r"^no source$"):
        site.run_agents("1")
    with pytest.raises(ProcessLookupError):
        os.kill(int((site.root / "agent.sh.pid").read_text()), 0)


def test_the_settings_of_the_demonstration_hold(site: DemoSite) -> None:
    for party in site.parties:
        (site.root / "agents" / party).mkdir(parents=True)
    site.address = "127.0.0.1:1"
    site.configure_agents()
    config = load_agent(site.root / "agents" / "slow" / "agent.toml")
    assert config.agreement.parties == ("slow", "bad")
