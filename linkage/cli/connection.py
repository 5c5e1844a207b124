"""An open channel to a matcher, for the time of one command, and the options that it takes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    import grpc

    from linkage.agent.config import AgentConfig
    from linkage.agent.session import Session
    from linkage.rpc.tls import TlsFiles

_PATH = click.Path(path_type=Path)
_Command = TypeVar("_Command", bound=Callable[..., Any])

with_agent_config = click.option(
    "--config", "config_path", required=True, type=_PATH, help="Settings of the agent (TOML)."
)
_CREDENTIALS = (
    click.option("--matcher", "address", required=True, help="Host and port of the matcher."),
    click.option("--certificate", required=True, type=_PATH, help="The own certificate (PEM)."),
    click.option("--private-key", required=True, type=_PATH, help="Its private key (PEM)."),
    click.option(
        "--authority",
        required=True,
        type=_PATH,
        help="The authority of the matcher's certificate (PEM).",
    ),
)


def with_credentials(command: _Command) -> _Command:
    """Give a command the options of who calls a matcher without being an agent."""
    for option in reversed(_CREDENTIALS):
        command = option(command)
    return command


@contextmanager
def open_matcher(address: str, files: "TlsFiles") -> Iterator["grpc.Channel"]:
    """Open a channel to a matcher; one that does not answer is told of on stderr.

    Raises:
        ConfigError: a TLS file cannot be read.
    """
    from linkage.cli.progress import AwayLines
    from linkage.rpc.channel import open_channel
    from linkage.rpc.patience import telling

    with open_channel(address, files) as channel, telling(AwayLines(address)):
        yield channel


@contextmanager
def connected(
    settings: Path, epoch: int | None = None
) -> Iterator[tuple["Session", "grpc.Channel"]]:
    """Open a session and a channel, and overwrite the linkage key at the end.

    Args:
        settings: the agent's settings file.
        epoch: under which linkage key; the newest of the keystore where absent.

    Raises:
        ConfigError: the settings, or a file that they name, are refused.
        KeystoreError: the linkage key cannot be opened.
    """
    from keys.process import shield_process
    from linkage.agent.config import load_agent
    from linkage.agent.session import Session

    shield_process()
    config = load_agent(settings)
    session = Session(config.at(epoch) if epoch else config)
    try:
        with open_matcher(session.config.matcher, session.tls) as channel:
            yield session, channel
    finally:
        session.key.wipe()


@contextmanager
def connected_without_key(settings: Path) -> Iterator[tuple["AgentConfig", "grpc.Channel"]]:
    """Open a channel for a command that needs no linkage key; raises as `connected`."""
    from keys.process import shield_process
    from linkage.agent.config import load_agent
    from linkage.rpc.tls import TlsFiles

    shield_process()
    config = load_agent(settings)
    with open_matcher(config.matcher, TlsFiles(**dict(config.tls))) as channel:
        yield config, channel
