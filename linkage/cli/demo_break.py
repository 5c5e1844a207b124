"""What must not be possible, tried: `padan demo --break`.

A matcher with its own processes, folders and log, and a party that asks for a job in a way that
breaks a rule, past its own agent's checks. What it is told, and what the log keeps of it, is
shown.
"""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keys.dsse import sign
from keys.identity import key_digest
from linkage.agreement.payload import KeyRevocation
from linkage.agreement.request import (
    RANDOM_BYTES,
    Seen,
    SignedRequest,
    request_id,
    sign_request,
)
from linkage.cli.demo_data import DemoData, DemoParty
from linkage.cli.demo_site import DOMAIN, DemoSite
from linkage.errors import DeniedError, LinkageError
from linkage.job import JobSpec, JobState

if TYPE_CHECKING:
    from linkage.store.log_copy import LogSource

SCHEMA = """\
name = "demo-break"
[[attributes]]
name = "nama"
type = "name"
[[attributes]]
name = "tgl_lahir"
type = "date"
"""
_ROWS = [{"record_id": "1", "nama": "Siti Aminah", "tgl_lahir": "1990-08-17"}]
_LONG_AGO = timedelta(days=200)


@dataclass(frozen=True)
class Break:
    """One way to break the rules.

    Attributes:
        words: what is tried.
        code: what it must be refused with.
        change: makes it out of a proper specification.
        before: how long ago the agreement was signed.
        unsigned: how many parties have not signed it.
    """

    words: str
    code: str
    change: Callable[[JobSpec], JobSpec] = lambda spec: spec
    before: timedelta = timedelta(0)
    unsigned: int = 0


BREAKS = {
    "expired": Break("a job under an agreement whose term is over", "AGREEMENT_EXPIRED",
                     before=_LONG_AGO),
    "unsigned": Break("a job under an agreement that one party has not signed",
                      "AGREEMENT_NOT_ACTIVE", unsigned=1),
    "wrong-purpose": Break("a job for another purpose than the agreement's", "PURPOSE_MISMATCH",
                           lambda spec: replace(spec, purpose="lain")),
    "extra-attribute": Break("a job on an attribute that was not agreed", "ATTRIBUTE_NOT_AGREED",
                             lambda spec: replace(
                                 spec, attributes=(*spec.attributes, ("nik", "nik"))
                             )),
    "revoked": Break("a job asked for with a key that was revoked", "NOT_ADMITTED"),
    "replay": Break("a signed request used for another job", "REQUEST_OTHER_BODY"),
}  # fmt: skip


def run_break(name: str, root: Path) -> dict[str, Any]:
    """Try one break; return what came of it.

    Args:
        name: one of `BREAKS`.
        root: empty folder.

    Returns:
        `break`, `words`, `refused` (whether it was, with the right code), `code`, `rules` and
        `leaf`, the index of the entry that tells of it.
    """
    broken = BREAKS[name]
    people = DemoParty(_ROWS)
    site = DemoSite(
        root,
        DemoData(SCHEMA, {"dukcapil": people, "imigrasi": people, "kemenlu": people}),
        moment=datetime.now(UTC) - broken.before,
        n_unsigned=broken.unsigned,
    )
    site.prepare()
    try:
        site.start_matcher(make_keys=False)
        code, rules = _tried(site, name, broken)
        site.fetch_bundle(cosigned=False)
    finally:
        site.stop_matcher()
    leaf, logged = _told(site, name)
    if logged:
        code, rules = logged["code"], logged["rules"]
    return {
        "break": name,
        "words": broken.words,
        "refused": code == broken.code,
        "code": code,
        "rules": rules,
        "leaf": leaf,
    }


def _tried(site: DemoSite, name: str, broken: Break) -> tuple[str, list[str]]:
    """Ask for the job, and return code and rules of the refusal; `ALLOWED` if there was none."""
    from linkage.agent.client import MatcherClient
    from linkage.agent.config import load_agent
    from linkage.rpc.channel import open_channel
    from linkage.rpc.tls import TlsFiles

    party = site.parties[0]
    config = load_agent(site.root / "agents" / party / "agent.toml")
    with open_channel(config.matcher, TlsFiles(**dict(config.tls))) as channel:
        spec = broken.change(proper_job(site))
        client = MatcherClient(channel, 10.0, Signs(site, party))
        if name == "revoked":
            client.submit_document(_revocation(site, party))
        if name == "replay":
            client = MatcherClient(channel, 10.0, Signs(site, party, replace(spec, purpose="x")))
        try:
            job = client.request_job(spec)
        except DeniedError as error:
            return error.code, list(error.rules)
        except LinkageError as error:
            return type(error).__name__, []
    return (job.reason_code, []) if job.state is JobState.DENIED else ("ALLOWED", [])


class Signs:
    """Signs what a party sends, and asks no one whether it should.

    Args:
        site: the demonstration.
        party: who signs.
        instead: what is signed, where it is not what is sent.
    """

    def __init__(self, site: DemoSite, party: str, instead: JobSpec | None = None) -> None:
        self._site, self._party, self._instead = site, party, instead

    def sign(self, source: "LogSource", method: str, body: bytes) -> bytes:
        """Return the envelope of a request."""
        from linkage.agent.mirror import Mirror
        from linkage.agent.session import load_trust

        mirror = Mirror(
            self._site.root / "agents" / self._party / "log", load_trust(self._site.trust)
        )
        mirror.update(source)
        if mirror.head is None:
            raise LinkageError("the log has published nothing")
        signed = self._instead.to_bytes() if self._instead else body
        now = int(time.time())
        return sign_request(
            SignedRequest(
                aud=mirror.head.origin,
                method=method,
                agreement=self._site.agreement.digest(),
                epoch=1,
                id=request_id(datetime.fromtimestamp(now, UTC), os.urandom(RANDOM_BYTES)),
                iat=now,
                exp=now + 60,
                body=sha256(signed).hexdigest(),
                seen=Seen(size=mirror.head.size, root=mirror.head.root.hex()),
            ),
            self._site.signers[self._party],
        ).to_bytes()


def proper_job(site: DemoSite) -> JobSpec:
    """Return the specification of a job that would be allowed."""
    from linkage.agent.run import attributes_of, results_of
    from linkage.agent.session import block_form, refinement_of
    from linkage.encode.encoder import schema_id
    from linkage.job import KEY_CHECK_BYTES, CodeId
    from linkage.schema import parse_schema

    schema = parse_schema(SCHEMA, "schema")
    return JobSpec(
        agreement_id=site.agreement.id,
        agreement_sha256=bytes.fromhex(site.agreement.digest()),
        purpose=site.agreement.purpose.code,
        attributes=attributes_of(schema),
        parties=site.parties,
        codes=CodeId(
            schema_id=schema_id(schema),
            epoch=1,
            key_check=bytes(KEY_CHECK_BYTES),
            scheme=schema.encoding.scheme,
            code_bits=schema.encoding.code_bits,
            **block_form(schema),
        ),
        threshold=schema.threshold,
        cardinality=schema.match.cardinality,
        collect_timeout_s=600,
        refinement=refinement_of(schema),
        results=results_of(site.agreement, site.parties, "R3", two_rounds=True),
    )


def _revocation(site: DemoSite, party: str) -> bytes:
    certificate = (site.root / "agents" / party / "certificate.pem").read_bytes()
    revocation = KeyRevocation(
        log=site.agreement.log,
        principal=f"spiffe://{DOMAIN}/party/{party}",
        serial=1,
        keys=(key_digest(certificate),),
        reason="compromised",
    )
    envelope = sign(KeyRevocation.TYPE, revocation.to_bytes(), [site.administrator])
    return envelope.to_bytes()


def _told(site: DemoSite, name: str) -> tuple[int | None, dict[str, Any] | None]:
    """Return the last leaf that tells of the refusal, and code and rules in its body."""
    import json

    from linkage.audit.bundle_files import read_bundle
    from linkage.log.bundle import body_path
    from linkage.log.entry import parse_body, parse_entry
    from linkage.log.tiles import ENTRIES, parse_entries, parse_tile_path

    files = read_bundle(site.bundle)
    leaves = {}
    for path, content in files.items():
        if path.startswith("tile/entries"):
            tile = parse_tile_path(path)
            if tile.level == ENTRIES:
                for at, leaf in enumerate(parse_entries(content, tile.width)):
                    leaves[256 * tile.index + at] = parse_entry(leaf)
    wanted = {"key.revoke"} if name == "revoked" else {"job.deny", "job.refuse"}
    found = [index for index, entry in leaves.items() if entry.type in wanted]
    if not found:
        return None, None
    index = max(found)
    if name == "revoked":
        return index, None
    body = json.loads(parse_body(files[body_path(index)])[1])
    return index, body
