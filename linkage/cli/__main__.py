"""`python -m linkage.cli`: the same as `padan`, for the interpreter at hand."""

from linkage.cli import main

main()
