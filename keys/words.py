"""Key check values as words, for people to compare over the telephone or in a meeting.

One word for each byte, of 256 common Indonesian words. No two begin with the same four
letters, and no word becomes another by one letter changed, lost, added or two exchanged.
Eight words are the 64 bits of `LinkageKey.key_check`: parties who read the same words have
the same key and context.
"""

from keys.errors import KeysError

WORDS = tuple(
    """
    abadi acara acuan ajaib akhir akrab ambil amplop anggur angin angsa antik arena arloji
    atlet badak bagus balai bambu bandar bangku baris batik bawang bayam bebek benang bendera
    besar biasa bidan bijak bintang botol buah bukit bulan bunga busur butir cabai cahaya
    cakap cangkir capung catur cawan cegah cepat cermin cicak cincin cinta cokelat contoh
    cuaca cukup curah daerah daftar dagang dahan dalam damai danau dapur darat dasar dayung
    dekat delapan delima dengar depan didik dinas dingin dokter domba dongeng dorong duduk
    elang embun empat engsel fajar famili gabah gambar ganda garam gasing gatra gelas gendang
    gerak gitar gotong gulung gurame hadap hadiah halus hangat harum hasil hemat hidup hijau
    hilir hitung hujan huruf induk ingat intan irama istana jagung jaket jalan jangkar jejak
    jeruk judul jumlah jurus kabar kalung kampus kanan kapal karet kebun kejar kelapa kembang
    kenari kertas ketan kicau kilat kirim kolam kucing kulit kumis kunci kurma kursi ladang
    lampu lancar langit layar lebah lemari lepas lilin lincah lintas lompat lontar lubuk lukis
    lumbung mahir makan mangga manis mawar medan melati merah mesin minum mirip mohon musik
    nalar nanas nangka naskah nelayan neraca niaga nilai nyala ombak orang pahat palang pantai
    papan patung pelita peluit pepaya pesan petani piano pikir pindah pintu piring pisang
    pukul pulau puncak pupuk pusat putih rajin rakit ramah ratus rebung rekan riang rimba
    ringan rotan rubah rukun rumput sabun sahabat sajak sandal sarang sawah sayur sedia segar
    sehat sejuk selam semut sepeda sikap simpul sinar sirih sopan sungai tabung terang tinggi
    tumbuh untung warung wayang wisata wortel zaitun
    """.split()  # noqa: SIM905 -- 256 quoted words would be no easier to read
)
"""The word of each byte, in alphabetical order."""


def words_of(check: bytes) -> str:
    """Return a key check value as words, for example `dahan kenari sungai ...`."""
    return " ".join(WORDS[byte] for byte in check)


def check_of(words: str) -> bytes:
    """Return the key check value that words stand for, whatever their case and spaces.

    Raises:
        KeysError: a word is none of the list.
    """
    try:
        return bytes(WORDS.index(word) for word in words.lower().split())
    except ValueError as error:
        raise KeysError("a word that no key check has: compare the spelling") from error
