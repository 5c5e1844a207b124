"""The matcher: links encodings, logs what it does, and never learns whose they are.

It holds no linkage key and reaches no module that could use one. `server` puts the
pieces together; each is a handler on the store, usable without gRPC.
"""
