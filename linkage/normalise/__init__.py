"""Identity attributes to normalised words. Runs inside the agency only.

Every column of a source becomes a `columns.WordColumn`: a vocabulary of distinct
normalised words, and for each record the numbers of its words. Work is done once
per distinct value; the encoder then turns each distinct word into tokens once.

`names.normalise_name` and its like are the definition, one value at a time.
`attributes.normalise_column` is the way in for whole Arrow columns and gives the
same words. `rules` lists every rule with the switch that controls it.

All of it is deterministic: no clock, no randomness, no state between calls. The
version below and the digests of the tables are part of a resolved linkage schema.
"""

NORM_VERSION = "2"
"""Changes whenever any value could be normalised differently than before."""

RESOURCES = ("normalise_words.csv", "normalise_regions.csv", "normalise_places.csv")
"""Tables that the normalised words depend on; `linkage.resources` has their digests."""
