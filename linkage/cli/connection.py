"""An open channel from an agent to its matcher, for the time of one command."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import grpc

    from linkage.agent.config import AgentConfig
    from linkage.agent.session import Session


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
    from linkage.rpc.channel import open_channel

    shield_process()
    config = load_agent(settings)
    session = Session(config.at(epoch) if epoch else config)
    try:
        with open_channel(session.config.matcher, session.tls) as channel:
            yield session, channel
    finally:
        session.key.wipe()


@contextmanager
def connected_without_key(settings: Path) -> Iterator[tuple["AgentConfig", "grpc.Channel"]]:
    """Open a channel for a command that needs no linkage key; raises as `connected`."""
    from keys.process import shield_process
    from linkage.agent.config import load_agent
    from linkage.rpc.channel import open_channel
    from linkage.rpc.tls import TlsFiles

    shield_process()
    config = load_agent(settings)
    with open_channel(config.matcher, TlsFiles(**dict(config.tls))) as channel:
        yield config, channel
