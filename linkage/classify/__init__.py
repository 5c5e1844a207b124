"""From similarities to decisions, and how good they are."""
