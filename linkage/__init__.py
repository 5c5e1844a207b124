"""Padan: privacy-preserving record linkage for Indonesian citizenship services.

Agencies encode their records locally with a shared key that the matcher never
holds; the matcher links the encodings; auditors verify its log offline. The
roles live in `agent`, `matcher` and `audit`; everything below them is a library
without network, clock or randomness of its own. `docs/threat-model.md` says what
each role learns.
"""

__version__ = "0.1.0.dev0"
