"""One population and its registers, made once: 20,000 persons take about a second."""

import pytest

from linkage.synthetic import AGENCIES, Population, Registers, generate_population, make_registers

N = 20_000


@pytest.fixture(scope="session")
def people() -> Population:
    return generate_population(N, seed=7)


@pytest.fixture(scope="session")
def few() -> Population:
    return generate_population(3_000, seed=11)


@pytest.fixture(scope="session")
def untouched(few: Population) -> Registers:
    return make_registers(few, list(AGENCIES), "off", seed=5)


@pytest.fixture(scope="session")
def ordinary(people: Population) -> Registers:
    return make_registers(people, list(AGENCIES), "ordinary", seed=5)
