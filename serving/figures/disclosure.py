"""Which regions may be shown singly: pure.

A region of few users would tell of single households. It is folded into OTHER, and with it as many of the
next smallest as it takes that OTHER is, of every utility that anybody in it has, neither one region nor few
users: else the country's sum, less the regions that are shown, would tell what was folded away. Where even
all regions together are few users of a utility, nothing is told of it, the country's sum included.
"""

from collections.abc import Mapping
from typing import NamedTuple

from infra.contracts.utility import Utility

USERS_MIN = 15
REGIONS_MIN = 2
OTHER = "other"
Users = Mapping[str, Mapping[Utility, int]]  # how many a region has of each utility, by code


class Disclosure(NamedTuple):
    """Which regions are shown, which are folded into OTHER, and of which utilities nothing is told.

    A region without users is in neither.
    """

    shown: frozenset[str]
    hidden: frozenset[str]
    untold: frozenset[Utility] = frozenset()


def disclosed(users: Users) -> Disclosure:
    """Return which regions may be shown; equals join OTHER in the order of codes."""
    fewest = {code: min(known) for code, counts in users.items() if (known := _some(counts))}
    by_size = sorted(fewest, key=lambda code: (fewest[code], code))
    small = [code for code in by_size if fewest[code] < USERS_MIN]
    together: dict[Utility, tuple[int, int]] = {}
    for code in small:
        _join(together, users[code])
    joined = len(small)
    while small and joined < len(by_size) and not all(map(_blurred, together.values())):
        _join(together, users[by_size[joined]])
        joined += 1
    untold = frozenset(utility for utility, sums in together.items() if not _blurred(sums))
    return Disclosure(frozenset(by_size[joined:]), frozenset(by_size[:joined]), untold)


def amount_of_many(users: int, amount: int | None) -> int | None:
    """Return an amount of many users, or nothing of nobody; None where it is of few."""
    return amount if users >= USERS_MIN or users == amount == 0 else None


def _some(counts: Mapping[Utility, int]) -> list[int]:
    return [count for count in counts.values() if count]


def _join(together: dict[Utility, tuple[int, int]], counts: Mapping[Utility, int]) -> None:
    """Add a region to how many regions and users of each utility are folded."""
    for utility, count in counts.items():
        if count:
            regions, users = together.get(utility, (0, 0))
            together[utility] = regions + 1, users + count


def _blurred(sums: tuple[int, int]) -> bool:
    regions, users = sums
    return regions >= REGIONS_MIN and users >= USERS_MIN
