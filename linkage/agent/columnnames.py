"""What the name of a column tells about what stands in it, in Indonesian and English.

A name is split into words; the phrase with the most words that are all in it decides,
and among equals the one that stands first in the table.
"""

import re
from dataclasses import dataclass
from typing import Literal

from linkage.types import REFUSED_WORDS

Role = Literal["attribute", "identifier", "truth", "record_id", "refused", "unfit"]


@dataclass(frozen=True)
class NameHint:
    """What a column's name says.

    Attributes:
        role: an attribute to link on; an identifier; the person of a test's truth;
            the record number; refused by law; or unfit for another reason.
        type: the type of the attribute or identifier, "" for other roles.
        element: row of the data-needs matrix where it is not the type's own.
        reason: why the column is left out, "" where it is not.
    """

    role: Role
    type: str = ""
    element: str | None = None
    reason: str = ""


_ANOTHER = NameHint("unfit", reason="names another person than the record is about")
_EVENT = NameHint("unfit", reason="a date of a document or an event, not of the person")
_STATE = NameHint("unfit", reason="changes, or says little about who is meant")
_NUMBER = NameHint("unfit", reason="an identifier that has no type yet")
_TRUTH = NameHint("truth", reason="names the person: the truth of a test, no part of a linkage")
_RECORD = NameHint("record_id", reason="a record number: record_id of the source file")


def _attribute(kind: str, element: str | None = None) -> NameHint:
    return NameHint("attribute", kind, element)


def _identifier(kind: str) -> NameHint:
    return NameHint("identifier", kind)


# Phrases, parted by commas. One with "=" before it is the whole name of the column.
_TABLE: tuple[tuple[NameHint, str], ...] = (
    (_TRUTH, "entity id, person id, cluster id, cluster, true id, truth, ground truth, gold"),
    (_RECORD, """
        record id, rec id, row id, unique id, record number, row number, nomor berkas, no
        berkas, no urut, nomor urut, no lapor, nomor lapor, =id, =no, =nomor, =index, =row
    """),
    (_ANOTHER, """
        lahir ibu, lahir ayah, nik ibu, nik ayah, nik pasangan, nama kk, kepala keluarga,
        nama suami, nama istri, suami, istri, spouse, husband, wife, nama pasangan,
        penjamin, sponsor, nama wali, wali, guardian
    """),
    (_EVENT, """
        tgl terbit, tanggal terbit, tgl kk, tgl masuk, tanggal masuk, tgl daftar, tanggal
        daftar, tgl cetak, terbit, issued, issue date, expiry, expires, expiry date,
        berlaku, created, created at, updated, updated at, modified, timestamp
    """),
    (_STATE, """
        status, perkawinan, marital, pekerjaan, occupation, job, pendidikan, education,
        income, salary, penghasilan, gaji, perwakilan
    """),
    (_NUMBER, """
        national id, ssn, soc sec id, soc sec, social security, id number, nomor
        identitas, no identitas, npwp, nisn, nip, bpjs, no sim, tax id
    """),
    (_identifier("nik"), "nik, no ktp, nomor ktp, ktp, nomor induk kependudukan"),
    (_identifier("nit"), "nit, nomor identitas tunggal"),
    (_identifier("kk"), "=kk, no kk, nomor kk, kartu keluarga, family card"),
    (_identifier("passport"), "paspor, passport"),
    (_identifier("permit"), "izin tinggal, kitas, kitap, niora, permit, visa"),
    (_identifier("deed"), "akta, akte, deed, sertifikat, certificate"),
    (_attribute("mother_name"), "nama ibu, ibu kandung, =ibu, mother, nama gadis ibu, mothers"),
    (_attribute("father_name"), """
        nama ayah, ayah kandung, =ayah, ayah, nama bapak, father, fathers
    """),
    (_attribute("sex"), """
        sex, gender, jk, jenis kelamin, jns kelamin, jenis kel, kelamin, =lp, =l p,
        geschlecht
    """),
    (_attribute("date"), """
        tgl lahir, tanggal lahir, tgllahir, tanggallahir, dob, date of birth, dateofbirth,
        birth date, birthdate, birthday, born, =lahir, geburtsdatum
    """),
    (_attribute("year"), """
        tahun lahir, thn lahir, birth year, year of birth, yob, =by, =tahun, =year
    """),
    (_attribute("number"), "birth month, birth day, bulan lahir, month of birth, =bm, =bd"),
    (_attribute("age"), "umur, usia, age"),
    (_attribute("place"), """
        tempat lahir, tmp lahir, tmpt lahir, tempatlahir, kota lahir, kab lahir, negara
        lahir, birth place, birthplace, place of birth, pob, birth city, city of birth,
        birth country, country of birth, birth state, geburtsort
    """),
    (_attribute("number", "alamat"), """
        street number, house number, house no, no rumah, nomor rumah, =rt, =rw, rt rw,
        hausnummer
    """),
    (_attribute("postcode"), """
        kode pos, kodepos, postcode, post code, postal code, postal, zip, zipcode, plz
    """),
    (_attribute("phone"), """
        telp, tlp, telepon, no telp, telephone, phone, phone number, hp, no hp, handphone,
        mobile, ponsel, whatsapp, wa, cell
    """),
    (_attribute("email"), "email, e mail, email address, alamat email, surel, mail"),
    (_attribute("address"), """
        alamat, address, addr, street, street name, jalan, nama jalan, jln, domisili,
        strasse
    """),
    (_attribute("place", "alamat"), """
        city, kota, town, suburb, kabupaten, kab, kecamatan, kec, kelurahan, kel, desa,
        village, kampung, provinsi, propinsi, prov, province, county, locality, state,
        region, district, ort, wohnort
    """),
    (_attribute("nationality"), """
        kewarganegaraan, warga negara, kebangsaan, nationality, citizenship
    """),
    (_attribute("text", "alamat"), "country, negara, negara domisili"),
    (_attribute("alias"), """
        nama lain, nama lama, nama alias, alias, aka, former name, maiden name, maiden,
        birth surname, birth name, nickname, nama panggilan, nama kecil
    """),
    (_attribute("given_name"), """
        given name, given, first name, firstname, forename, fname, nama depan, middle
        name, middle, nama tengah, vorname, givenname
    """),
    (_attribute("surname"), """
        surname, last name, lastname, family name, familyname, nama belakang, nama
        keluarga, marga, lname, nachname
    """),
    (_attribute("name"), "nama lengkap, full name, fullname, nama, name, nm"),
)  # fmt: skip


def words_of_column(column: str) -> tuple[str, ...]:
    """Return the lower-case words of a column's name, without numbers at their ends."""
    parted = re.sub(r"([a-z])([A-Z])", r"\1 \2", column)
    words = re.split(r"[^a-z0-9]+", parted.lower())
    return tuple(bare for word in words if (bare := word.rstrip("0123456789")))


def hint_of(column: str) -> NameHint | None:
    """Return what a column's name says, or None where it says nothing."""
    words = words_of_column(column)
    if refused := next((word for word in words if word in REFUSED_WORDS), None):
        return NameHint("refused", reason=f"{refused!r} is data that no linkage may use")
    exact = _WHOLE.get(words)
    if exact is not None:
        return exact
    present = set(words)
    best, longest = None, 0
    for phrase, hint in _PHRASES:
        if len(phrase) > longest and present.issuperset(phrase):
            best, longest = hint, len(phrase)
    return best


def _phrases(*, whole: bool) -> list[tuple[tuple[str, ...], NameHint]]:
    return [
        (tuple(phrase.strip().removeprefix("=").split()), hint)
        for hint, line in _TABLE
        for phrase in line.split(",")
        if phrase.strip().startswith("=") == whole
    ]


_WHOLE = dict(_phrases(whole=True))
_PHRASES = _phrases(whole=False)
