// The totals of the three utilities, which choose the one that the rest of the page shows.

import { moving } from "../charts/moving.js";
import { make, say } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { NAMES, quantity } from "../lib/units.js";

// Returns { show(uses), press(utility) }; onChosen(utility) hears of a choice. A use is that of the API, or missing.
export function totals(host, first, onChosen) {
  const buttons = Object.fromEntries(Object.keys(NAMES).map((utility) => [utility, button(utility, () => {
    press(utility);
    onChosen(utility);
  })]));
  host.replaceChildren(...Object.values(buttons).map(({ element }) => element));
  const press = (chosen) => {
    for (const [utility, { element }] of Object.entries(buttons)) element.setAttribute("aria-pressed", String(utility === chosen));
  };
  press(first);
  return {
    press,
    show: (uses) => Object.entries(buttons).forEach(([utility, { show }]) => show(uses[utility])),
  };
}

function button(utility, onclick) {
  const figure = make("span", { text: "–" });
  const unit = make("span", { class: "unit" });
  const meters = make("small", { class: "quiet" });
  const element = make("button", { type: "button", class: `total ${utility}`, onclick },
    make("b", { text: NAMES[utility] }), make("span", { class: "big" }, figure, " ", unit), meters);
  let rateUnit = utility === "electricity" ? "W" : "L/h";
  const set = moving((value) => {
    const told = quantity(value, rateUnit, utility);
    say(figure, told.figure);
    say(unit, told.unit);
  });

  function show(use) {
    rateUnit = use?.rate_unit ?? rateUnit;
    set(use?.rate ?? null);
    say(meters, !use || use.rate === null ? "no recent window" : `${count(use.active_meters)} meters active, ${count(use.silent_meters)} silent`);
  }

  return { element, show };
}
