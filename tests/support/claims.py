"""Claims as a study's file holds them."""

from unlabel.params import claim


def parsed(**content) -> claim.Claim:
    return claim.parse({"says": "so"} | content, "linear", "claim 1")


def values(table: dict[str, float]):
    return lambda term: table[str(term)]
