"""The published attacks on encodings, run by an agency against its own.

Agency side only: an attacker of the worst kind holds plain records. Everything is
seeded; what is random (the keys under attack) comes from the caller.
"""
