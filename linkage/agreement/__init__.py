"""Agreements, what the log says of them, and what they allow.

    draft -> model -> lint, render        what people write, check and read
    envelope, payload                     what they sign
    state                                 what the entries of the log add up to
    request, decide, denial               who may do what, and why not

Everything here is a function of its arguments: bytes, entries, times and signers come from
outside. The matcher decides with it, the parties' agents watch it, auditors repeat it.
"""
