"""`padan keys loss`: what a lost key costs, before anybody has to decide in a hurry."""

import click

_ENGLISH = """\
A linkage key of {agreement} is lost at one party, or may be known to others

What cannot be done: nobody sends you the key again. No party keeps a copy for another, the
matcher never had it, and officers hold shares of keystore keys only.

What it costs: a new epoch.
  1. Report it to the other parties and the data-protection officer today. If the key may
     be known to others it is an incident: the law gives 3 x 24 hours (UU 27/2022, art. 46).
  2. padan agent rotate --lost --config agent.toml
     From then on nothing is done under the key; the log says so. The file need not be there.
  3. Jobs that run under the old epoch are cancelled: request them anew.
  4. All parties run `padan agent rotate`: they make the key of the next epoch together.
  5. Every party re-encodes and uploads ALL its records again, for jobs and for registers.
     Record references are drawn anew; updates of the old epoch do not carry over.
  6. The risk gate's result is made again where the agreement asks for it.
  7. Encodings of the old epoch at the matcher are destroyed, and that is logged.

What stays: links that were released, the match log, the agreement, all other agreements and
epochs, signing keys and certificates.

If only the key-encryption key is lost (file, token, passphrase), and the keystore files are
there: `padan keys recovery join` first. Then none of this is needed.
"""

_INDONESIAN = """\
Kunci penautan (linkage key) {agreement} hilang di satu pihak, atau mungkin diketahui pihak lain

Yang tidak bisa dilakukan: tidak ada yang dapat mengirim ulang kunci itu. Tidak ada pihak yang
menyimpan salinan untuk pihak lain, prosesor (matcher) tidak pernah memilikinya, dan para
pejabat hanya memegang bagian dari kunci keystore.

Biayanya: epoch baru.
  1. Laporkan hari ini kepada para pihak lain dan pejabat pelindungan data pribadi. Bila kunci
     mungkin diketahui pihak lain, ini insiden: tenggatnya 3 x 24 jam (UU 27/2022, pasal 46).
  2. padan agent rotate --lost --config agent.toml
     Sejak itu tidak ada lagi yang berjalan dengan kunci itu, dan log mencatatnya. Berkasnya
     tidak perlu ada.
  3. Pekerjaan (job) yang berjalan pada epoch lama dibatalkan: ajukan lagi.
  4. Semua pihak menjalankan `padan agent rotate`: kunci epoch berikutnya dibuat bersama-sama.
  5. Setiap pihak menyandikan dan mengunggah ulang SEMUA datanya, untuk pekerjaan dan register.
     Rujukan data diundi lagi; pemutakhiran dari epoch lama tidak terbawa.
  6. Uji risiko (risk gate) dijalankan lagi bila perjanjian memintanya.
  7. Hasil penyandian epoch lama di matcher dimusnahkan, dan pemusnahannya dicatat di log.

Yang tetap: tautan yang sudah diserahkan, log, perjanjian, semua perjanjian dan epoch lain,
kunci tanda tangan, dan sertifikat.

Bila yang hilang hanya kunci pembuka keystore (berkas, token, frasa sandi) dan berkas
keystore masih ada: jalankan dahulu `padan keys recovery join`. Maka semua ini tidak perlu.
"""
_TEXTS = {"en": _ENGLISH, "id": _INDONESIAN}


@click.command()
@click.option("--agreement", required=True, help="Agreement whose linkage key was lost.")
@click.option(
    "--lang",
    type=click.Choice(("en", "id", "both")),
    default="both",
    show_default=True,
    help="Language of the text.",
)
def loss(agreement: str, lang: str) -> None:
    """Say what a lost linkage key costs, and what to do. Changes nothing."""
    texts = _TEXTS.values() if lang == "both" else (_TEXTS[lang],)
    click.echo("\n".join(text.format(agreement=agreement) for text in texts), nl=False)
