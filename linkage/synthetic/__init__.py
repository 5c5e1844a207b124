"""Indonesian people who do not exist, and what registers make of them.

`generate_population` draws persons with families and documents; `make_registers`
writes them down as several agencies would, with errors of a grade, a ledger of every
error, and the truth. Seeded: equal arguments give identical tables. No number in it
can be mistaken for a real one: see `identifiers`.
"""

from linkage.synthetic.agencies import AGENCIES
from linkage.synthetic.grades import FAULTS, GRADES, Grade
from linkage.synthetic.mix import Mix
from linkage.synthetic.population import REFERENCE_DATE, Population, generate_population
from linkage.synthetic.registers import Registers, make_registers, register_csv_chunks
from linkage.synthetic.subgroups import GROUPS

__all__ = [
    "AGENCIES",
    "FAULTS",
    "GRADES",
    "GROUPS",
    "REFERENCE_DATE",
    "Grade",
    "Mix",
    "Population",
    "Registers",
    "generate_population",
    "make_registers",
    "register_csv_chunks",
]
