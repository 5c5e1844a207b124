"""Keys of Padan: derivation, storage, identities, and the exchange between parties.

This package imports the standard library and `cryptography` only, and nothing
of `linkage`, so that it can be reviewed by itself.
"""
