"""The auditor: checks a match log offline, with nothing of the server's code."""
