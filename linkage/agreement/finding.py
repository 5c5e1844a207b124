"""What can be wrong with an agreement that is written correctly: each finding in words."""

from dataclasses import dataclass

from linkage.agreement.denial import Language

# English, then Indonesian: what is wrong and what to do; {} is where.
_TEXTS: dict[str, tuple[str, str]] = {
    "TOO_LARGE": (
        "{}: more bytes than fit one leaf of the log: shorten texts, name documents by digest.",
        "{}: melebihi satu leaf log: persingkat teks, sebut dokumen dengan digest-nya.",
    ),
    "NK_MISSING": (
        "{}: Dukcapil is a party and no Nota Kesepahaman is named: add [nk].",
        "{}: Dukcapil adalah pihak tetapi Nota Kesepahaman tidak disebut: tambahkan [nk].",
    ),
    "PARTIES_TOO_FEW": (
        "{}: a linkage has two parties or more: add the other one, or use process P7.",
        "{}: tautan memerlukan dua pihak atau lebih: tambahkan pihak lain, atau pakai proses P7.",
    ),
    "ORDER_OF_MANY": (
        "{}: an internal order (P7) has one party: make an agreement for the others.",
        "{}: perintah internal (P7) hanya satu pihak: buat perjanjian untuk pihak lain.",
    ),
    "ORDER_NOT_COSIGNED": (
        "{}: the agency and its data protection officer sign an internal order: list two keys.",
        "{}: perintah internal ditandatangani instansi dan PPDP: cantumkan dua kunci.",
    ),
    "PARTY_KEPT_OUT": (
        "{}: this institution is no party of this process: take it out.",
        "{}: lembaga ini bukan pihak dalam proses ini: keluarkan.",
    ),
    "FOREIGN_PARTY": (
        "{}: seated abroad: not without transfer rule 'article-56' and its route; never in P6.",
        "{}: di luar negeri: hanya dengan transfer 'article-56' dan jalurnya; tidak dalam P6.",
    ),
    "CONTROLLER_MISSING": (
        "{}: nobody is controller: give the parties that decide the purpose this role.",
        "{}: tidak ada pengendali: beri peran itu kepada pihak yang menentukan tujuan.",
    ),
    "BASIS_MISSING": (
        "{}: no legal basis for this direction: add an entry to legal_basis.",
        "{}: dasar hukum untuk arah ini tidak ada: tambahkan pada legal_basis.",
    ),
    "BASIS_NOT_PUBLIC": (
        "{}: a public body cannot rely on legitimate interest: cite the law that orders the task.",
        "{}: badan publik tidak dapat memakai kepentingan sah: sebut undang-undang tugasnya.",
    ),
    "DATA_MISSING": (
        "{}: results are drawn from its records and it provides no attribute: list them in data.",
        "{}: hasil diambil dari rekamannya tetapi tanpa atribut: cantumkan pada data.",
    ),
    "ATTRIBUTE_REFUSED": (
        "{}: data that no linkage may use (biometrics, religion, health, crime): take it out.",
        "{}: data yang dilarang (biometrik, agama, kesehatan, pidana): keluarkan.",
    ),
    "ATTRIBUTE_NOT_NEEDED": (
        "{}: not in this process's row of the data-needs matrix: take it out.",
        "{}: tidak ada dalam matriks kebutuhan data proses ini: keluarkan.",
    ),
    "ATTRIBUTE_MISSING": (
        "{}: the process needs it and no party provides it: add it, or accept weaker links.",
        "{}: dibutuhkan proses, tidak diberikan siapa pun: tambahkan, atau tautan lebih lemah.",
    ),
    "CLASS_TOO_LOW": (
        "{}: specific personal data (also every attribute where children are): class spesifik.",
        "{}: data pribadi spesifik (juga semua atribut bila ada anak): kelas spesifik.",
    ),
    "SCHEMA_OTHER": (
        "{}: not what the linkage schema says: copy it from 'padan schema show'.",
        "{}: berbeda dari skema tautan: salin dari 'padan schema show'.",
    ),
    "WAIVER_MISSING": (
        "{}: scheme clk, or a gate limit of 1, is a risk: add its reason, approval and end.",
        "{}: skema clk, atau batas gerbang 1, adalah risiko: tambahkan alasan, persetujuan, akhir.",
    ),
    "WAIVER_EXPIRED": (
        "{}: the waiver has expired: use a hardened scheme, or have it approved again.",
        "{}: pernyataan risiko kedaluwarsa: pakai skema yang dikeraskan, atau perbarui.",
    ),
    "LEVEL_NOT_SUPPORTED": (
        "{}: values (R4) never pass through the matcher: use R2 or R3, send values directly.",
        "{}: nilai (R4) tidak melalui matcher: pakai R2 atau R3, kirim nilai secara langsung.",
    ),
    "LEVEL_TOO_HIGH": (
        "{}: above what this process allows for these two: lower the level.",
        "{}: melebihi yang diizinkan proses bagi keduanya: turunkan tingkatnya.",
    ),
    "RESULTS_MISSING": (
        "{}: nobody gets a result: add [[results]].",
        "{}: tidak ada penerima hasil: tambahkan [[results]].",
    ),
    "RESULT_TO_ITSELF": (
        "{}: a party gets no result about its own records from a linkage: take it out.",
        "{}: pihak tidak menerima hasil atas rekamannya sendiri: keluarkan.",
    ),
    "CHILDREN_EXPECTED": (
        "{}: this process is about children: set subjects.children = true.",
        "{}: proses ini mengenai anak: tetapkan subjects.children = true.",
    ),
    "GUARDIAN_MISSING": (
        "{}: children, and neither a guardian's consent nor another basis is named: add guardian.",
        "{}: ada anak, tetapi persetujuan wali atau dasar lain tidak disebut: tambahkan guardian.",
    ),
    "QUOTA_CONTRADICTS": (
        "{}: a quota that allows nothing, or less on a day than in a run: correct it.",
        "{}: kuota tidak mengizinkan apa pun, atau sehari kurang dari sekali proses: perbaiki.",
    ),
    "DPIA_REVIEW_DUE": (
        "{}: the review of the impact assessment is overdue: review it first.",
        "{}: tinjauan penilaian dampak sudah lewat waktu: tinjau dahulu.",
    ),
    "DPIA_TOO_LATE": (
        "{}: the impact assessment is approved before the term begins: move the term.",
        "{}: penilaian dampak disetujui sebelum masa berlaku: geser masa berlaku.",
    ),
    "NOTICE_TOO_LATE": (
        "{}: the public notice comes before the first run: publish it before the term begins.",
        "{}: pemberitahuan publik mendahului pemrosesan: terbitkan sebelum masa berlaku.",
    ),
    "TERM_OVER": (
        "{}: the term is over: choose a later last day.",
        "{}: masa berlaku telah lewat: pilih hari terakhir yang lebih kemudian.",
    ),
    "RETENTION_LONG": (
        "{}: codes and pairs are kept for more than 90 days: shorten it, or justify it.",
        "{}: kode dan pasangan disimpan lebih dari 90 hari: perpendek, atau beri alasan.",
    ),
    "KEY_AT_PROCESSOR": (
        "{}: whoever compares never holds the linkage key: list controllers only.",
        "{}: pihak yang membandingkan tidak pernah memegang kunci: cantumkan pengendali saja.",
    ),
    "KEY_HOLDERS_MISSING": (
        "{}: takes part in making the linkage key: list it among key_custody.holders.",
        "{}: ikut membuat kunci tautan: cantumkan pada key_custody.holders.",
    ),
    "KEY_TOO_OLD": (
        "{}: a linkage key serves a year at most, and 90 days as a rule: shorten rotation_days.",
        "{}: kunci tautan paling lama setahun, lazimnya 90 hari: perpendek rotation_days.",
    ),
    "HOSTED_ABROAD": (
        "{}: processed or stored outside Indonesia: choose a place in Indonesia (IDN).",
        "{}: diproses atau disimpan di luar Indonesia: pilih tempat di Indonesia (IDN).",
    ),
    "ROUTE_MISSING": (
        "{}: a transfer abroad needs its route under article 56: describe it.",
        "{}: transfer ke luar negeri memerlukan jalur Pasal 56: uraikan.",
    ),
    "TOO_SLOW": (
        "{}: slower than the law: 72 hours for rights and notices, 24 for the processor.",
        "{}: lebih lambat dari ketentuan: 72 jam untuk hak dan pemberitahuan, 24 untuk prosesor.",
    ),
    "NOT_TESTED": (
        "{}: not tested within the last year, or in the future: test it and write the day.",
        "{}: belum diuji dalam setahun terakhir, atau tanggalnya di depan: uji dan tulis harinya.",
    ),
    "ONE_OFFICER": (
        "{}: a loss of citizenship is decided by two officers: set two_officers = true.",
        "{}: kehilangan kewarganegaraan diputus dua pejabat: tetapkan two_officers = true.",
    ),
    "AUDIT_TOO_RARE": (
        "{}: inspected less than once a year: 12 months at most.",
        "{}: diperiksa kurang dari sekali setahun: paling lama 12 bulan.",
    ),
    "EXEMPTION_EXPIRED": (
        "{}: the exemption has expired: renew it or take it out.",
        "{}: pengecualian telah kedaluwarsa: perbarui atau keluarkan.",
    ),
    "WITNESS_MISSING": (
        "{}: every party witnesses the log: add it to witnesses.names.",
        "{}: setiap pihak menjadi saksi log: tambahkan pada witnesses.names.",
    ),
    "REPLACEMENT_QUORUM": (
        "{}: with n witnesses beside two parties: 1 + floor(2n/3) to n, or 0 if all are parties.",
        "{}: dengan n saksi di samping dua pihak: 1 + floor(2n/3) sampai n, 0 bila semua pihak.",
    ),
    "WITNESS_QUORUM_WEAK": (
        "{}: two histories could pass: at least 1 + floor(2n/3), and as many as the parties.",
        "{}: dua riwayat dapat lolos: paling sedikit 1 + floor(2n/3), dan sebanyak para pihak.",
    ),
}

FINDINGS = frozenset(_TEXTS)
_WARNINGS = frozenset({"ATTRIBUTE_MISSING", "RETENTION_LONG"})


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        code: what.
        where: the field, with the name of the party or attribute.
    """

    code: str
    where: str

    @property
    def refuses(self) -> bool:
        """Whether the agreement is refused for it; else it is a warning."""
        return self.code not in _WARNINGS

    def text(self, language: Language = "en") -> str:
        """Return what is wrong and what to do, in one sentence."""
        english, indonesian = _TEXTS[self.code]
        return (indonesian if language == "id" else english).format(self.where)
