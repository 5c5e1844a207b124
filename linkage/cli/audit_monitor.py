"""`padan audit monitor`: follow a live log, and raise alarms."""

import json
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from linkage.cli.connection import open_matcher

if TYPE_CHECKING:
    from linkage.audit.monitor import Alarm, LiveLog, Monitor

_PATH = click.Path(path_type=Path)


@click.command()
@click.option("--trust", "trust_path", required=True, type=_PATH, help="Trust file.")
@click.option(
    "--state", required=True, type=_PATH,
    help="Folder of the monitor's own copy of the log, its memory and its evidence.",
)  # fmt: skip
@click.option("--matcher", "address", help="Host and port of the matcher.")
@click.option("--certificate", type=_PATH, help="The auditor's certificate (PEM).")
@click.option("--private-key", type=_PATH, help="Its private key (PEM).")
@click.option("--authority", type=_PATH, help="The authority of the matcher's certificate (PEM).")
@click.option(
    "--log", "published", type=click.Path(path_type=Path, file_okay=False),
    help="Instead of a matcher: a folder in which checkpoint and tiles are published.",
)  # fmt: skip
@click.option("--every", type=click.FloatRange(1), default=60.0, show_default=True, help="Seconds.")
@click.option("--once", is_flag=True, help="Look once.")
@click.option(
    "--expect", type=click.FloatRange(1),
    help="Alarm if no new checkpoint comes for so many seconds.",
)  # fmt: skip
@click.option(
    "--cosigned-within", type=click.FloatRange(0), default=86_400.0, show_default=True,
    help="Alarm if the quorum of the trust file has not cosigned an entry after so many seconds.",
)  # fmt: skip
@click.option("--metrics", type=_PATH, help="File to write for Prometheus (text format).")
@click.option("--acknowledge", is_flag=True, help="Take note of all alarms, and stop.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
def monitor(
    trust_path: Path,
    state: Path,
    address: str | None,
    certificate: Path | None,
    private_key: Path | None,
    authority: Path | None,
    published: Path | None,
    every: float,
    once: bool,
    expect: float | None,
    cosigned_within: float,
    metrics: Path | None,
    acknowledge: bool,
    as_json: bool,
) -> None:
    """Follow a live log; exit 3 while an alarm stands that nobody has acknowledged.

    Every new checkpoint has to be signed and to extend all that was seen before, every new leaf
    is replayed, and enough witnesses have to cosign. What proves that an operator lied is kept in
    the folder. Alarms go to standard output, progress to standard error.
    """
    from linkage.audit.monitor import Monitor
    from linkage.cli import UNVERIFIED
    from linkage.cli.files import read_file
    from linkage.log.policy import parse_policy

    watch = Monitor(state, parse_policy(read_file(trust_path)), time.time, expect, cosigned_within)
    if acknowledge:
        click.echo(f"{watch.acknowledge()} alarms acknowledged", err=True)
        return
    stop = threading.Event()
    if not once:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    with _log(address, (certificate, private_key, authority), published) as log:
        while not stop.is_set():
            _look(watch, log, once=once, as_json=as_json)
            if metrics is not None:
                _write_metrics(metrics, watch)
            if once:
                break
            stop.wait(every)
    if watch.standing:
        sys.exit(UNVERIFIED)


@contextmanager
def _log(
    address: str | None, files: tuple[Path | None, Path | None, Path | None], published: Path | None
) -> "Iterator[LiveLog]":
    from linkage.audit.live import MatcherLog, PublishedLog
    from linkage.rpc.tls import TlsFiles

    if published is not None and address is None:
        yield PublishedLog(published)
        return
    certificate, private_key, authority = files
    if published is not None or address is None:
        raise click.UsageError("name a matcher (--matcher) or a folder (--log)")
    if certificate is None or private_key is None or authority is None:
        raise click.UsageError("--matcher needs --certificate, --private-key and --authority")
    with open_matcher(address, TlsFiles(certificate, private_key, authority)) as channel:
        yield MatcherLog(channel)


def _look(watch: "Monitor", log: "LiveLog", *, once: bool, as_json: bool) -> None:
    from linkage.errors import UnavailableError

    before = watch.head.size if watch.head else 0
    try:
        alarms = watch.poll(log)
    except UnavailableError as error:
        if once and not watch.standing:
            raise
        click.echo(f"padan: {error}", err=True)
        alarms = []
    standing = list(watch.standing) if once else alarms
    for alarm in standing:
        click.echo(json.dumps({"event": "alarm", **vars(alarm)}) if as_json else _words(alarm))
    size = watch.head.size if watch.head else 0
    root = watch.head.root.hex() if watch.head else ""
    if as_json and (once or size != before):
        fields = {"event": "checkpoint", "size": size, "root": root, "cosigned": watch.cosigned}
        click.echo(json.dumps({**fields, "replayed": watch.replays}))
    elif once or size != before:
        rest = "" if watch.replays else ", decisions not replayed: bodies are not shown"
        click.echo(f"{size} entries, root {root}, {watch.cosigned} cosigned{rest}", err=True)


def _words(alarm: "Alarm") -> str:
    from linkage.audit.monitor import MEANING

    kept = f" [{alarm.evidence}]" if alarm.evidence else ""
    return f"{alarm.time}  {alarm.code}: {MEANING[alarm.code]}: {alarm.text}{kept}"


def _write_metrics(path: Path, watch: "Monitor") -> None:
    from prometheus_client import CollectorRegistry, Gauge, write_to_textfile

    from linkage.audit.monitor import MEANING

    registry = CollectorRegistry()

    def gauge(name: str, text: str, value: float) -> None:
        Gauge(f"padan_monitor_{name}", text, registry=registry).set(value)

    gauge(
        "log_size", "Entries of the log that were verified.", watch.head.size if watch.head else 0
    )
    gauge("cosigned_size", "Entries that the quorum has cosigned.", watch.cosigned)
    gauge("read_seconds", "When the log was read last, since 1970.", watch.read_at or 0)
    alarms = Gauge(
        "padan_monitor_alarms", "Alarms that nobody has acknowledged.", ["code"], registry=registry
    )
    for code in MEANING:
        alarms.labels(code).set(sum(alarm.code == code for alarm in watch.standing))
    write_to_textfile(str(path), registry)
