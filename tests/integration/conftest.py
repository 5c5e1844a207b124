from collections.abc import Callable, Iterator, Mapping, Sequence

import pytest
from in_process import SCHEMA, Service, demo_data, people

from keys.identity import Role
from linkage.agreement.articles import Process
from linkage.cli.demo_site import DemoSite


@pytest.fixture(scope="session")
def new_service(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Service]:
    """Makes services with the given records by party."""

    def make(
        schema: str = SCHEMA,
        gate_limit: float = 1.0,
        process: Process = "P6",
        results: Sequence[tuple[str, str, str]] | None = None,
        members: Sequence[tuple[Role, str]] = (),
        offices: Mapping[str, Sequence[str]] | None = None,
        **records: list[dict[str, str]],
    ) -> Service:
        data = demo_data(schema, **records)
        folder = tmp_path_factory.mktemp("site")
        site = DemoSite(
            folder,
            data,
            gate_limit,
            process=process,
            results=results,
            members=members,
            offices=offices,
        )
        site.prepare()
        return Service(site)

    return make


@pytest.fixture(scope="module")
def service(new_service: Callable[..., Service]) -> Iterator[Service]:
    """A running service of two parties that share 60 of 80 and 70 persons."""
    made = new_service(dukcapil=people(80), imigrasi=people(70, skip=20))
    with made.running():
        yield made
