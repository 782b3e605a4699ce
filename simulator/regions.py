"""The 50 states of the USA and the District of Columbia: code, name, zone and share of the people.

A state that lies in two zones counts as in the one where most of its people live.
"""

import dataclasses

_EASTERN = "America/New_York"
_CENTRAL = "America/Chicago"
_MOUNTAIN = "America/Denver"
_ARIZONA = "America/Phoenix"
_PACIFIC = "America/Los_Angeles"
_ALASKA = "America/Anchorage"
_HAWAII = "Pacific/Honolulu"
ZONES = (_EASTERN, _CENTRAL, _MOUNTAIN, _ARIZONA, _PACIFIC, _ALASKA, _HAWAII)


@dataclasses.dataclass(frozen=True)
class Region:
    """One region; `people_k` is its population of 2020 in thousands."""

    code: str
    name: str
    zone: str
    people_k: int


def _in_zone(zone: str, states: str) -> list[Region]:
    """Read `AL Alabama 5024, ...`."""
    regions = []
    for state in states.split(","):
        code, *name, people_k = state.split()
        regions.append(Region(f"US-{code}", " ".join(name), zone, int(people_k)))
    return regions


REGIONS: tuple[Region, ...] = tuple(
    sorted(
        _in_zone(
            _EASTERN,
            "CT Connecticut 3606, DC District of Columbia 690, DE Delaware 990, FL Florida 21538, "
            "GA Georgia 10712, IN Indiana 6786, KY Kentucky 4506, MA Massachusetts 7030, MD Maryland 6177, "
            "ME Maine 1362, MI Michigan 10077, NC North Carolina 10439, NH New Hampshire 1378, "
            "NJ New Jersey 9289, NY New York 20201, OH Ohio 11799, PA Pennsylvania 13003, "
            "RI Rhode Island 1097, SC South Carolina 5118, VA Virginia 8631, VT Vermont 643, "
            "WV West Virginia 1794",
        )
        + _in_zone(
            _CENTRAL,
            "AL Alabama 5024, AR Arkansas 3012, IA Iowa 3190, IL Illinois 12813, KS Kansas 2938, "
            "LA Louisiana 4658, MN Minnesota 5706, MO Missouri 6155, MS Mississippi 2961, "
            "ND North Dakota 779, NE Nebraska 1962, OK Oklahoma 3959, SD South Dakota 887, "
            "TN Tennessee 6911, TX Texas 29146, WI Wisconsin 5894",
        )
        + _in_zone(
            _MOUNTAIN,
            "CO Colorado 5774, ID Idaho 1839, MT Montana 1084, NM New Mexico 2118, UT Utah 3272, "
            "WY Wyoming 577",
        )
        + _in_zone(_ARIZONA, "AZ Arizona 7152")
        + _in_zone(_PACIFIC, "CA California 39538, NV Nevada 3105, OR Oregon 4237, WA Washington 7705")
        + _in_zone(_ALASKA, "AK Alaska 733")
        + _in_zone(_HAWAII, "HI Hawaii 1455"),
        key=lambda region: region.code,
    )
)
