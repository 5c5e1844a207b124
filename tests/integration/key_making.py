"""Agents that make their linkage key, for tests: the parts of one run, and the run."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from time import sleep

from in_process import Service

from keys.providers import FileProvider
from keys.transcript import Step
from linkage.agent.client import MatcherClient
from linkage.agent.config import AgentConfig, load_agent
from linkage.agent.exchange import KeyMaking
from linkage.agent.mirror import Mirror
from linkage.agent.session import load_trust, mirror_of, open_signer
from linkage.rpc.channel import open_channel
from linkage.rpc.tls import TlsFiles


def config_of(service: Service, party: str) -> AgentConfig:
    return load_agent(service.folder(party) / "agent.toml")


@contextmanager
def parts(
    config: AgentConfig, client: Callable[..., MatcherClient] = MatcherClient
) -> Iterator[tuple[MatcherClient, Mirror, FileProvider]]:
    provider = FileProvider(config.keys.linkage.parent / "kek")
    with open_channel(config.matcher, TlsFiles(**dict(config.tls))) as channel:
        yield client(channel, 5.0), mirror_of(config, load_trust(config.trust)), provider


def now() -> datetime:
    return datetime.now(UTC)


def make(
    service: Service,
    party: str,
    config: AgentConfig | None = None,
    client: Callable[..., MatcherClient] = MatcherClient,
    clock: Callable[[], datetime] = now,
) -> None:
    """Let a party make its key, until it has it."""
    config = config or config_of(service, party)
    with parts(config, client) as (calls, mirror, provider):
        told = list[Step]()
        KeyMaking(
            config,
            calls,
            mirror,
            open_signer(config, provider),
            provider,
            lambda step, _awaited: told.append(step),
            lambda _s: sleep(0.02),
            clock,
        ).run()
        assert told == sorted(told)
