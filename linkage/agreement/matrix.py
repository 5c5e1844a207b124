"""What each process of citizenship services needs, and the most that it may learn.

The rows are the elements of `linkage.types`; whatever has no row is in no agreement. Biometrics,
religion, health and criminal records have neither row nor type.
"""

from typing import Literal

from linkage.agreement.articles import Institution, Level, Process
from linkage.types import ATTRIBUTE_TYPES, DataClass

Need = Literal["must", "may", "not"]

PROCESSES: tuple[Process, ...] = ("P1", "P2", "P3", "P4", "P5", "P6", "P7")

PROCESS_NAMES: dict[Process, tuple[str, str]] = {
    "P1": ("passport application", "permohonan paspor"),
    "P2": ("naturalisation", "pewarganegaraan"),
    "P3": (
        "children with two citizenships: registration and choice",
        "anak berkewarganegaraan ganda: pendaftaran dan pilihan",
    ),
    "P4": (
        "loss and regaining of citizenship",
        "kehilangan dan memperoleh kembali kewarganegaraan",
    ),
    "P5": ("citizens abroad", "warga negara di luar negeri"),
    "P6": ("undocumented and vulnerable returnees", "pemulangan orang tanpa dokumen dan rentan"),
    "P7": ("de-duplication inside one agency", "deduplikasi di dalam satu instansi"),
}
"""English and Indonesian names."""

# A letter for each process: M must, O may, - not.
_ROWS = {
    "nik": "MOOMOOM",
    "no_paspor": "OMMMMOM",
    "izin_tinggal": "-MMO-OO",
    "no_akta": "-MMO-OO",
    "no_kk": "O-O-OOM",
    "nama": "MMMMMMM",
    "nama_orang_tua": "OOMOOMO",
    "kelahiran": "MMMMMMM",
    "kewarganegaraan": "OMMMOOO",
    "alamat": "-----OO",
}
_NEEDS: dict[str, Need] = {"M": "must", "O": "may", "-": "not"}
# One row of the data-needs matrix, whichever of the two numbers there is.
_ONE_OF = (frozenset({"izin_tinggal", "no_akta"}),)

HIGHEST: dict[Process, Level] = {
    "P1": "R2",
    "P2": "R2",
    "P3": "R3",
    "P4": "R1",
    "P5": "R2",
    "P6": "R3",
    "P7": "R3",
}
"""The highest result level of each process."""

_KEPT_OUT: dict[Process, frozenset[Institution]] = {"P6": frozenset({"bin"})}
# Intelligence answers and learns yes or no, never content.
_HIGHEST_OF: dict[Institution, Level] = {"bin": "R1"}
# Only the register's own agency keeps the case of a child by a link id.
_LINKS_ONLY: dict[Process, Institution] = {"P3": "ahu"}


def need(process: Process, element: str) -> Need:
    """Return whether a process must, may or may not use an element."""
    row = _ROWS.get(element)
    return _NEEDS[row[PROCESSES.index(process)]] if row else "not"


def missing_rows(process: Process, elements: frozenset[str]) -> tuple[str, ...]:
    """Return the elements that a process must use, of which none is there."""
    musts = [element for element in _ROWS if need(process, element) == "must"]
    met = elements.union(*(group for group in _ONE_OF if group & elements))
    return tuple(element for element in musts if element not in met)


def class_of(element: str) -> DataClass:
    """Return the class that an element has at least."""
    classes = {entry.data_class for entry in ATTRIBUTE_TYPES.values() if entry.element == element}
    return "spesifik" if "spesifik" in classes else "umum"


def takes_part(process: Process, institution: Institution) -> bool:
    """Return whether an institution may be a party of a process."""
    return institution not in _KEPT_OUT.get(process, frozenset())


def highest_level(process: Process, source: Institution, recipient: Institution | None) -> Level:
    """Return the highest level that a recipient may have of a source; None the coordinator."""
    if recipient is None:
        return "R0"
    levels: list[Level] = [HIGHEST[process]]
    levels += [_HIGHEST_OF[one] for one in (source, recipient) if one in _HIGHEST_OF]
    if _LINKS_ONLY.get(process, recipient) != recipient:
        levels.append("R2")
    return min(levels)
