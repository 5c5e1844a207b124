"""What each attack of the gate is, in words for people who do not run it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """One attack in two languages.

    Attributes:
        title: what it asks, in English.
        judul: the same in Bahasa Indonesia.
        text: what the attacker has and does.
        teks: the same in Bahasa Indonesia.
    """

    title: str
    judul: str
    text: str
    teks: str


ATTACKS = {
    "A3": Words(
        "Who knows some people's codes: can they name the others?",
        "Jika kode sebagian orang diketahui, apakah yang lain dapat dikenali?",
        "The attacker holds the plain register and knows which code belongs to some of its "
        "people. A program learns from these and names a person for every other code.",
        "Penyerang memegang register asli dan tahu kode milik sebagian orang. Sebuah program "
        "belajar dari situ lalu menebak pemilik setiap kode lain.",
    ),
    "A2": Words(
        "From a few known people: can the whole register be matched?",
        "Dari beberapa orang yang diketahui, apakah seluruh register dapat dicocokkan?",
        "The attacker holds a plain register with some of the same people, and knows a few "
        "codes. Who is alike to whom leads from these to the next.",
        "Penyerang memegang register lain yang sebagian orangnya sama, dan tahu beberapa kode. "
        "Kemiripan antarorang menuntunnya ke kode berikutnya.",
    ),
    "A1": Words(
        "Knowing no code at all: can the register be matched?",
        "Tanpa tahu satu kode pun, apakah register dapat dicocokkan?",
        "As before, without any known person: only the pattern of who is alike to whom.",
        "Seperti di atas, tanpa satu orang pun yang diketahui: hanya pola kemiripan antarorang.",
    ),
    "A4": Words(
        "Do records cancel each other?",
        "Apakah rekaman saling meniadakan?",
        "In a weak scheme four records made of the same two halves give themselves away. "
        "Such records are planted and looked for.",
        "Pada metode yang lemah, empat rekaman dengan belahan yang sama membuka dirinya. "
        "Rekaman seperti itu ditanam lalu dicari.",
    ),
    "A5": Words(
        "Do the codes alone show a pattern?",
        "Apakah kodenya sendiri memperlihatkan pola?",
        "Nothing is known but the codes. Do they show long names, common names, a sex, or "
        "that bits hang together?",
        "Yang diketahui hanya kode. Apakah terlihat nama panjang, nama umum, jenis kelamin, "
        "atau bit yang saling terkait?",
    ),
    "A6": Words(
        "Can search tokens be read by how often they occur?",
        "Apakah token pencarian terbaca dari seringnya muncul?",
        "The commonest token would be the commonest value, if tokens repeated. The ten "
        "commonest are held against the ten commonest values.",
        "Token tersering adalah nilai tersering, seandainya token berulang. Sepuluh token "
        "tersering dibandingkan dengan sepuluh nilai tersering.",
    ),
    "A7": Words(
        "From everything that the matcher sees in a job: who can be named?",
        "Dari semua yang dilihat penghubung dalam satu tugas, siapa yang dapat dikenali?",
        "The worst case: the matcher itself holds plain registers of both parties.",
        "Kasus terburuk: penghubung sendiri memegang register asli kedua pihak.",
    ),
    "A8": Words(
        "Can the codes be made without our key?",
        "Apakah kode dapat dibuat tanpa kunci kita?",
        "The attacker encodes the plain register with the same program under another key and "
        "looks for equal codes. Only a program that ignores its key is read this way.",
        "Penyerang mengodekan register asli dengan program yang sama dan kunci lain, lalu "
        "mencari kode yang sama. Ini berhasil hanya jika program mengabaikan kuncinya.",
    ),
    "A9": Words(
        "Do the positions inside the filters follow a rule?",
        "Apakah posisi di dalam filter mengikuti aturan?",
        "Shortcuts in hashing leave regular steps, by which published attacks took filters "
        "apart. All regular steps are tried.",
        "Jalan pintas dalam hashing meninggalkan langkah teratur, yang dipakai serangan yang "
        "sudah terbit. Semua langkah teratur dicoba.",
    ),
    "A10": Words(
        "Can answers of the second round be compared across pairs?",
        "Apakah jawaban putaran kedua dapat dibandingkan antarpasangan?",
        "Each answer serves one pair under a key of its own. The attacker treats all as if "
        "they were under one key, and learns from known people as above.",
        "Setiap jawaban berlaku untuk satu pasangan dengan kunci sendiri. Penyerang "
        "memperlakukan semuanya seakan satu kunci, dan belajar dari orang yang diketahui.",
    ),
}  # fmt: skip

# The answer of a whole gate, by its verdict.
ANSWERS = {
    "ok": Words(
        "Passed",
        "Lolos",
        "Passed: no attack found more than is allowed.",
        "Lolos: tidak ada serangan yang menemukan lebih dari yang diizinkan.",
    ),
    "failed": Words(
        "Not passed",
        "Tidak lolos",
        "Not passed: a limit is exceeded. Do not upload under this schema. See the rows marked "
        '"too high".',
        "Tidak lolos: ada batas yang terlampaui. Jangan mengunggah dengan skema ini. Lihat baris "
        'bertanda "terlalu tinggi".',
    ),
    "void": Words(
        "Void",
        "Tidak sah",
        "Void: an attack failed even where it must succeed, so it proves nothing. Run the gate "
        "on a larger file of the same source.",
        "Tidak sah: sebuah serangan gagal bahkan di tempat ia harus berhasil, sehingga tidak "
        "membuktikan apa pun. Jalankan dengan berkas yang lebih besar dari sumber yang sama.",
    ),
}
