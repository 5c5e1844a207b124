"""Words to tokens, by kind of attribute.

Tokens are what two spellings of one value have in common: bigrams of text, parts
and digits of a date. There is only a start marker: an end marker tells an
attacker more than it helps a linkage (clkhash issue 49). A missing value has no
token at all, for a sentinel would be the most frequent pattern of a register.
"""

from linkage.types import Kind

START = "_"


def bigrams(word: str) -> list[str]:
    """Return the distinct bigrams of a word with a start marker: `ALI` is _A, AL, LI."""
    marked = START + word
    return list(dict.fromkeys(marked[i : i + 2] for i in range(len(marked) - 1)))


def date_tokens(word: str) -> list[str]:
    """Return the tokens of a date word `YYYY-MM-DD`, unknown parts written as dashes.

    Day, month and year each count once, and once more digit by digit, so that a
    slip in one digit leaves most tokens in place. The century has no digit token:
    nearly all of a register shares it. Day and month together are one unordered
    token, so that a swap of the two still agrees on it.
    """
    year, month, day = word[:4], word[5:7], word[8:10]
    tokens = []
    if year.isdecimal():
        tokens += year_tokens(year)
    if month.isdecimal():
        tokens.append(f"m{month}")
    if day.isdecimal():
        tokens += [f"d{day}", f"d{day[0]}.", f"d.{day[1]}"]
    if month.isdecimal() and day.isdecimal():
        tokens.append("/".join(sorted((month, day))))
    return tokens


def year_tokens(year: str) -> list[str]:
    """Return the tokens of a year of four digits: the year, and its last two digits."""
    return [f"y{year}", f"y{year[2]}.", f"y.{year[3]}"]


def tokens_of_word(word: str, kind: Kind) -> list[str]:
    """Return the distinct tokens of one normalised word of an attribute of `kind`.

    Raises:
        ValueError: `kind` is never tokenised: a caller's bug.
    """
    match kind:
        case "name" | "text" | "code":
            return bigrams(word)
        case "date":
            return date_tokens(word)
        case "year":
            # Whatever else of a date stands there is not what the schema names.
            return date_tokens(word[:4])
        case "sex":
            return [word[0]]
        case "identifier":
            raise ValueError("identifiers are never tokenised")
