"""The words that names and addresses are made of."""


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


GIVEN = _words(
    "Ada Ben Carla David Elena Frank Grace Hugo Ines Jonas Karin Liam Mara "
    "Noah Olga Paul Quinn Rosa Sam Tara Umar Vera Wendy Xavier Yara Zoe"
)
FAMILY = _words(
    "Adams Baker Clark Diaz Evans Foster Garcia Hughes Irwin Jones Klein Lopez Miller "
    "Nguyen Olsen Perez Quill Reyes Smith Turner Underwood Vargas Walker Xu Young Zimmer"
)
TRADES = _words("Bakery Dental Diner Garage Grocery Hotel Laundry Office Print School Storage Studio Tools")
STREETS = _words("Oak Maple Cedar Pine Elm Lake Hill Park River Spring Sunset Mill Church Market Bridge")
ROADS = ("Street", "Avenue", "Lane", "Road", "Drive")
