"""Why something is denied: every code, its rule, and a sentence in both languages.

One table for the matcher, the agents and the documentation. Its third column is what the
caller is told. Who is not a party must not learn whether an agreement exists, and who is not
admitted not why: there the caller is told less than the log.
"""

from dataclasses import dataclass
from typing import Literal

Language = Literal["id", "en"]
ALLOWED = "ALLOWED"
NOT_ADMITTED = "NOT_ADMITTED"
NOT_AVAILABLE = "NOT_AVAILABLE"


@dataclass(frozen=True)
class Denial:
    """One way to be denied.

    Attributes:
        code: its name in decisions and in the log.
        rule: the rule that denies.
        outward: the code that the caller is told.
        en: a sentence in English: what is wrong and what to do.
        id: the same in Indonesian.
    """

    code: str
    rule: str
    outward: str
    en: str
    id: str

    def text(self, language: Language) -> str:
        """Return the sentence in a language."""
        return self.id if language == "id" else self.en


_SAME = ""
_TABLE: tuple[tuple[str, str, str, str, str], ...] = (
    # Told to callers in place of others.
    ("NOT_ADMITTED", "I", _SAME,
     "The caller is not admitted: have certificate and key enrolled in the log.",
     "Pemanggil tidak diterima: daftarkan sertifikat dan kuncinya di log."),
    ("NOT_AVAILABLE", "A", _SAME,
     "Nothing of this name is available to the caller: check the agreement's id and digest.",
     "Tidak ada yang bernama demikian bagi pemanggil: periksa id dan digest perjanjian."),
    # Who asks.
    ("PRINCIPAL_UNKNOWN", "I1", NOT_ADMITTED,
     "The principal is not enrolled in the log.",
     "Prinsipal tidak terdaftar di log."),
    ("PRINCIPAL_REVOKED", "I2", NOT_ADMITTED,
     "The principal, or the party that it is an office of, was revoked.",
     "Prinsipal, atau pihak induk kantornya, telah dicabut."),
    ("KEY_UNKNOWN", "I3", NOT_ADMITTED,
     "The certificate's key is not enrolled for this principal.",
     "Kunci sertifikat tidak terdaftar untuk prinsipal ini."),
    ("KEY_REVOKED", "I4", NOT_ADMITTED,
     "The certificate's key was revoked.",
     "Kunci sertifikat telah dicabut."),
    ("KEY_EXPIRED", "I5", NOT_ADMITTED,
     "The certificate's key was replaced and counts no more.",
     "Kunci sertifikat telah diganti dan tidak berlaku lagi."),
    ("ROLE_NOT_ALLOWED", "I6", _SAME,
     "Only parties and their offices may do this.",
     "Hanya pihak dan kantornya yang boleh melakukan ini."),
    # What the caller has seen of the log.
    ("SEEN_AHEAD", "L1", _SAME,
     "The caller has seen a longer log than this one: stop, and have both copies compared.",
     "Pemanggil pernah melihat log yang lebih panjang: berhenti, bandingkan kedua salinan."),
    ("LOG_FORKED", "L2", _SAME,
     "The caller has seen another history of the log: stop, and have both copies compared.",
     "Pemanggil melihat riwayat log yang lain: berhenti, bandingkan kedua salinan."),
    # Under which agreement.
    ("AGREEMENT_UNKNOWN", "A1", NOT_AVAILABLE,
     "No such agreement is registered.",
     "Perjanjian itu tidak terdaftar."),
    ("NOT_A_PARTY", "A2", NOT_AVAILABLE,
     "The caller is no party of this agreement.",
     "Pemanggil bukan pihak dalam perjanjian ini."),
    ("AGREEMENT_NOT_ACTIVE", "A3", _SAME,
     "Not every party has signed yet, or the signatures are not in the log: have them registered.",
     "Belum semua pihak menandatangani, atau tanda tangannya belum di log: daftarkan dahulu."),
    ("AGREEMENT_TERMINATED", "A4", _SAME,
     "A party has ended the agreement: a new one is needed.",
     "Salah satu pihak telah mengakhiri perjanjian: diperlukan perjanjian baru."),
    ("AGREEMENT_STOPPED", "A5", _SAME,
     "The agreement is under an emergency stop until all parties sign that it goes on.",
     "Perjanjian dihentikan darurat sampai semua pihak menandatangani kelanjutannya."),
    ("AGREEMENT_OTHER_VERSION", "A6", _SAME,
     "Another version of the agreement is in force: fetch it and ask again under its digest.",
     "Versi lain perjanjian sedang berlaku: ambil dan ajukan lagi dengan digest versi itu."),
    ("SEEN_STALE", "A7", _SAME,
     "The caller has not seen the leaf that brought this version: fetch the log and ask again.",
     "Pemanggil belum melihat leaf yang membawa versi ini: ambil log lalu ajukan lagi."),
    ("AGREEMENT_NOT_YET_VALID", "A8", _SAME,
     "The agreement's term has not begun.",
     "Masa berlaku perjanjian belum dimulai."),
    ("AGREEMENT_EXPIRED", "A9", _SAME,
     "The agreement's term is over: amend it, or make a new one.",
     "Masa berlaku perjanjian telah berakhir: ubah atau buat perjanjian baru."),
    ("PROCESS_IS_INTERNAL", "A10", _SAME,
     "An internal order is carried out by the agency's own agent: nothing is sent to the matcher.",
     "Perintah internal dijalankan agen instansi sendiri: tidak ada yang dikirim ke matcher."),
    ("DPIA_REVIEW_DUE", "A11", _SAME,
     "The review of the impact assessment is overdue: review it and amend the agreement.",
     "Tinjauan penilaian dampak sudah lewat waktu: tinjau dan ubah perjanjian."),
    ("NOTICE_NOT_PUBLISHED", "A12", _SAME,
     "The public notice is not published yet: nothing runs before its day.",
     "Pemberitahuan publik belum terbit: tidak ada pemrosesan sebelum tanggalnya."),
    ("EXEMPTION_EXPIRED", "A13", _SAME,
     "An exemption that the agreement relies on has expired: renew or remove it by an amendment.",
     "Pengecualian dalam perjanjian telah kedaluwarsa: perbarui atau hapus lewat perubahan."),
    ("WAIVER_MISSING", "A14", _SAME,
     "An unhardened scheme, or a gate limit of 1, needs a waiver in the agreement.",
     "Skema tanpa pengerasan, atau batas gerbang 1, memerlukan pernyataan risiko."),
    ("WAIVER_EXPIRED", "A15", _SAME,
     "The waiver of the agreement has expired: amend it, or use a hardened scheme.",
     "Pernyataan risiko telah kedaluwarsa: ubah perjanjian atau pakai skema yang dikeraskan."),
    # What for, with whom, and which data.
    ("PURPOSE_MISMATCH", "P1", _SAME,
     "The purpose is not that of the agreement.",
     "Tujuan tidak sama dengan tujuan perjanjian."),
    ("PARTIES_MISMATCH", "P2", _SAME,
     "The parties of the request are not two or more of the agreement's, with the caller's own.",
     "Pihak dalam permintaan bukan dua atau lebih pihak perjanjian, termasuk pihak pemanggil."),
    ("PARTY_REVOKED", "P3", _SAME,
     "A party of the request is enrolled no more.",
     "Salah satu pihak dalam permintaan tidak lagi terdaftar."),
    ("SCHEMA_MISMATCH", "P4", _SAME,
     "The linkage schema is not the agreed one: compare the ids that 'padan schema show' prints.",
     "Skema tautan bukan yang disepakati: bandingkan id yang ditampilkan 'padan schema show'."),
    ("ATTRIBUTE_NOT_AGREED", "P5", _SAME,
     "An attribute is not among those that the agreement lets the party provide.",
     "Ada atribut yang tidak termasuk data yang boleh diberikan pihak itu menurut perjanjian."),
    ("LEVEL_NOT_SUPPORTED", "P6", _SAME,
     "Values (R4) never pass through the matcher: the owner sends them to the requester itself.",
     "Nilai (R4) tidak pernah melalui matcher: pemilik mengirimkannya langsung kepada peminta."),
    ("LEVEL_NOT_AGREED", "P7", _SAME,
     "The agreement does not give this recipient this result level about that source.",
     "Perjanjian tidak memberi penerima ini tingkat hasil tersebut atas sumber itu."),
    ("OFFICE_NOT_AGREED", "P8", _SAME,
     "The agreement does not name this office among those that may ask for jobs: amend it.",
     "Perjanjian tidak menyebut kantor ini sebagai yang boleh meminta pekerjaan: ubahlah."),
    ("JOB_OF_ANOTHER", "P9", _SAME,
     "Another takes part in the job for this party: the office, or head office, that asked for it.",
     "Yang ikut serta untuk pihak ini adalah yang meminta: kantor itu, atau kantor pusat."),
    # Under which linkage key.
    ("EPOCH_UNKNOWN", "E1", _SAME,
     "The parties have not begun to make the key of this epoch.",
     "Para pihak belum mulai membuat kunci epoch ini."),
    ("EPOCH_ENDED", "E2", _SAME,
     "The key of this epoch was given up: make a new one together.",
     "Kunci epoch ini telah ditinggalkan: buat kunci baru bersama-sama."),
    ("EPOCH_NOT_CONFIRMED", "E3", _SAME,
     "Not every party has confirmed the key of this epoch.",
     "Belum semua pihak mengonfirmasi kunci epoch ini."),
    ("EPOCH_MISMATCH", "E4", _SAME,
     "The key was made for another schema, purpose or set of parties: make a new one.",
     "Kunci dibuat untuk skema, tujuan atau pihak yang lain: buat kunci baru."),
    ("EPOCH_EXPIRED", "E5", _SAME,
     "The key is older than the agreement allows: make a new one.",
     "Kunci lebih tua daripada yang diizinkan perjanjian: buat kunci baru."),
    ("EPOCH_NOT_DELEGATED", "E6", _SAME,
     "The head office has not given this office the key of the epoch.",
     "Kantor pusat belum memberikan kunci epoch ini kepada kantor tersebut."),
    ("EPOCH_REPLACED", "E7", _SAME,
     "The parties have made a newer key: use that one ('padan agent rotate').",
     "Para pihak telah membuat kunci baru: gunakan kunci itu ('padan agent rotate')."),
    # How much.
    ("TOO_MANY_RECORDS", "Q1", _SAME,
     "More records than the agreement allows for one run.",
     "Jumlah rekaman melebihi batas satu kali proses menurut perjanjian."),
    ("QUOTA_RECORDS", "Q2", _SAME,
     "The party's records of this day are used up: go on tomorrow.",
     "Kuota rekaman pihak untuk hari ini habis: lanjutkan besok."),
    ("QUOTA_JOBS", "Q3", _SAME,
     "The jobs of the whole term are used up: amend the agreement.",
     "Kuota pekerjaan selama masa perjanjian habis: ubah perjanjian."),
    ("QUOTA_JOBS_DAY", "Q4", _SAME,
     "The party's jobs of this day are used up: go on tomorrow.",
     "Kuota pekerjaan pihak untuk hari ini habis: lanjutkan besok."),
    ("QUOTA_LOOKUPS", "Q5", _SAME,
     "The party's lookups of this day are used up, or none are agreed.",
     "Kuota pencarian pihak untuk hari ini habis, atau tidak disepakati."),
    ("QUOTA_OFFICE", "Q6", _SAME,
     "The head office allows this office no more on this day.",
     "Kantor pusat tidak mengizinkan lebih banyak untuk kantor ini pada hari ini."),
    ("TOO_MANY_CANDIDATES", "Q7", _SAME,
     "More candidate pairs for each record than the agreement allows.",
     "Pasangan kandidat tiap rekaman melebihi batas perjanjian."),
    # The risk gate.
    ("GATE_MISSING", "G1", _SAME,
     "The batch names no result of a risk gate: run 'padan attack' and show its result.",
     "Batch tidak menyebut hasil gerbang risiko: jalankan 'padan attack' dan tunjukkan hasilnya."),
    ("GATE_UNKNOWN", "G2", _SAME,
     "This result of a risk gate is not in the log for this party and agreement.",
     "Hasil gerbang risiko ini tidak ada di log untuk pihak dan perjanjian ini."),
    ("GATE_OTHER_SCHEMA", "G3", _SAME,
     "The risk gate was run under another linkage schema: run it again.",
     "Gerbang risiko dijalankan dengan skema tautan lain: jalankan lagi."),
    ("GATE_OTHER_EPOCH", "G4", _SAME,
     "The risk gate was run for another epoch: run it again.",
     "Gerbang risiko dijalankan untuk epoch lain: jalankan lagi."),
    ("GATE_EXPIRED", "G5", _SAME,
     "The result of the risk gate counts no more: run it again.",
     "Hasil gerbang risiko tidak berlaku lagi: jalankan lagi."),
    ("GATE_VOID", "G6", _SAME,
     "An attack of the risk gate did not even break its control: run it again.",
     "Satu serangan pada gerbang risiko tidak menembus kontrolnya: jalankan lagi."),
    ("GATE_STRUCTURE", "G7", _SAME,
     "The risk gate found structure in the codes: mend the schema.",
     "Gerbang risiko menemukan struktur dalam kode: perbaiki skema."),
    ("GATE_RATE", "G8", _SAME,
     "The risk gate named more persons than the agreement accepts: harden the schema.",
     "Gerbang risiko mengenali lebih banyak orang daripada batas perjanjian: perkeras skema."),
    # Lookups.
    ("GRANT_WINDOW", "K1", _SAME,
     "A grant lasts at most a day, and not beyond the agreement's term.",
     "Izin pencarian paling lama satu hari dan tidak melampaui masa perjanjian."),
    ("GRANT_UNKNOWN", "K2", _SAME,
     "The caller has no such grant under this agreement.",
     "Pemanggil tidak memiliki izin pencarian itu dalam perjanjian ini."),
    ("GRANT_REVOKED", "K3", _SAME,
     "The grant was ended before its time: ask for a new one.",
     "Izin telah dicabut sebelum waktunya: ajukan izin baru."),
    ("GRANT_NOT_COSIGNED", "K4", _SAME,
     "Not all parties have cosigned the log with the grant yet: run 'padan agent cosign'.",
     "Belum semua pihak ikut menandatangani log yang memuat izin: jalankan 'padan agent cosign'."),
    ("GRANT_EXPIRED", "K5", _SAME,
     "The time of the grant has not come, or is over: ask for a new one.",
     "Waktu izin belum tiba atau sudah lewat: ajukan izin baru."),
    ("GRANT_EXHAUSTED", "K6", _SAME,
     "The lookups of the grant are used up: ask for a new one.",
     "Jumlah pencarian dalam izin sudah habis: ajukan izin baru."),
    ("GRANT_SUSPENDED", "K7", _SAME,
     "Lookups under the grant looked like probing: have its parties look into it, and renew it.",
     "Pencarian dengan izin ini tampak seperti coba-coba: mintalah para pihak memeriksanya."),
    # The signed request itself.
    ("REQUEST_MALFORMED", "S1", _SAME,
     "The request is not a signed document of the right form.",
     "Permintaan bukan dokumen bertanda tangan dengan bentuk yang benar."),
    ("REQUEST_NOT_SIGNED", "S2", NOT_ADMITTED,
     "The request is not signed by a key of the caller that counts, and by it alone.",
     "Permintaan tidak ditandatangani kunci pemanggil yang berlaku, atau bukan olehnya saja."),
    ("REQUEST_OTHER_AUDIENCE", "S3", _SAME,
     "The request is meant for another log.",
     "Permintaan ditujukan untuk log lain."),
    ("REQUEST_OTHER_METHOD", "S4", _SAME,
     "The request is meant for another method.",
     "Permintaan ditujukan untuk metode lain."),
    ("REQUEST_TOO_LONG", "S5", _SAME,
     "The request is valid for more than five minutes: sign it for less.",
     "Permintaan berlaku lebih dari lima menit: tandatangani untuk waktu lebih singkat."),
    ("REQUEST_NOT_YET", "S6", _SAME,
     "The request was signed in the future: set the clock right.",
     "Permintaan ditandatangani pada waktu mendatang: betulkan jam."),
    ("REQUEST_EXPIRED", "S7", _SAME,
     "The request has expired: sign it again under a new id.",
     "Permintaan kedaluwarsa: tandatangani lagi dengan id baru."),
    ("REQUEST_OTHER_BODY", "S8", _SAME,
     "The request was signed for another message than the one it came with.",
     "Permintaan ditandatangani untuk pesan lain daripada yang menyertainya."),
    ("REQUEST_REUSED", "S9", _SAME,
     "The id of the request was used for another one: draw a new id.",
     "Id permintaan sudah dipakai untuk permintaan lain: buat id baru."),
)  # fmt: skip

DENIALS = {
    code: Denial(code, rule, outward or code, en, indonesian)
    for code, rule, outward, en, indonesian in _TABLE
}


def outward(code: str, language: Language = "en") -> tuple[str, str]:
    """Return the code and the sentence that a caller is told."""
    denial = DENIALS[DENIALS[code].outward]
    return denial.code, denial.text(language)
