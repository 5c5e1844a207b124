"""What holds for all tests."""

from hypothesis import settings

# Compiled kernels are built at their first call: a slow first example is no failure.
settings.register_profile("padan", deadline=None)
settings.load_profile("padan")
