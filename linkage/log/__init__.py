"""The match log as pure functions: hashes, proofs, checkpoints, tiles, leaves, bundles.

An append-only Merkle tree in the formats of the C2SP family, so that programs
this project did not write can check it. Nothing here opens a file, reads a clock
or makes randomness; bytes, times and signers are arguments.

Parsers accept one spelling of everything and raise one type for every malformed
byte: `SignatureError` for notes and keys, `CheckpointError` for checkpoints,
`ConfigError` for the trust file, `MalformedMessageError` for all the rest.
"""
