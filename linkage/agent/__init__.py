"""The agent of a party: reads its source, encodes, uploads, fetches its own results.

The only role that sees personal data and linkage keys; it runs beside the data.
"""
