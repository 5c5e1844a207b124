"""Identity attributes to normalised words. Runs inside the agency only.

Every column of a source becomes a `columns.WordColumn`: a vocabulary of distinct
normalised words, and for each record the numbers of its words. Work is done once
per distinct value; the encoder then turns each distinct word into tokens once.
"""
