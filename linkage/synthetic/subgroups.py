"""Groups of people for whom linkage may work better or worse.

Quality is reported for each, so that a figure for everyone cannot hide that, say,
one-word names or Papuans are found less often.
"""

import numpy as np
import pyarrow as pa

from linkage.synthetic.columns import Mask, days, pc, plain, present
from linkage.synthetic.population import Population

GROUPS = (
    "one_word_name", "placeholder_date", "old_spelling", "name_changed", "papuan", "balinese",
    "child", "abroad", "twin", "has_sibling",
)  # fmt: skip


def subgroups(population: Population, ledger: pa.Table) -> pa.Table:
    """Return `entity_id` and one flag for each of `GROUPS`, for every person.

    A flag that a register can cause (placeholder date, old spelling of the person's
    own name) is set where it is so in truth, or in at least one register.

    Args:
        population: the people.
        ledger: what was done to them; may be empty.
    """
    persons = population.persons
    birth = np.asarray(pc.cast(plain(persons["birth_date"]), "int32"), dtype=np.int64)
    people = plain(persons["ethnic_group"])
    flags = {
        "one_word_name": ~_true(pc.match_substring(plain(persons["name"]), " ")),
        "placeholder_date": _true(plain(persons["placeholder_date"]))
        | _done(ledger, "date_placeholder", "tgl_lahir", persons.num_rows),
        "old_spelling": _true(plain(persons["old_spelling"]))
        | _done(ledger, "old_spelling", "nama", persons.num_rows),
        "name_changed": present(plain(persons["alias"])),
        "papuan": _true(pc.equal(people, "papuan")),
        "balinese": _true(pc.equal(people, "balinese")),
        "child": (days(population.reference_date) - birth) / 365.25 < 18,
        "abroad": present(plain(persons["mission"])),
        "twin": _true(plain(persons["twin"])),
        "has_sibling": _true(plain(persons["has_sibling"])),
    }
    columns = {name: pa.array(flags[name]) for name in GROUPS}
    return pa.table({"entity_id": plain(persons["entity_id"]), **columns})


def _true(column: object) -> Mask:
    return np.asarray(pc.fill_null(column, fill_value=False), dtype=np.bool_)


def _done(ledger: pa.Table, mutator: str, column: str, n: int) -> Mask:
    """Return to whose `column` a mutator was done, in any register."""
    hit = np.asarray(pc.equal(ledger["mutator"].cast(pa.string()), mutator), dtype=np.bool_)
    hit &= np.asarray(pc.equal(ledger["column"].cast(pa.string()), column), dtype=np.bool_)
    done = np.zeros(n, dtype=np.bool_)
    done[np.asarray(ledger["entity_id"], dtype=np.int64)[hit] - 1] = True
    return done
