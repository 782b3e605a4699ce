// This month's cost so far and its forecast.

import { make, scrollable, table } from "../lib/dom.js";
import { several, shortMoney } from "../lib/format.js";
import { clock, dateText } from "../lib/times.js";
import { NAMES, quantityText } from "../lib/units.js";

const DAYS_MIN = 3; // of which a forecast can be made

// Shows the months of the three utilities of a household's answer.
export function showCosts(host, answer) {
  const months = Object.entries(answer.utilities).map(([utility, use]) => ({ utility, unit: use.unit, ...use.month }));
  // A home without gas has no month of it.
  const present = months.filter((month) => known(month.usage) || known(month.cost));
  const priced = present.filter((month) => known(month.cost));
  const [first] = months;
  if (!first?.from) {
    host.replaceChildren(make("h2", { text: "This month" }), make("p", { class: "quiet", text: "Nothing is known of this month yet." }));
    return;
  }
  const currency = priced[0]?.currency;
  const soFar = sum(priced, "cost");
  const complete = present.length > 0 && present.every((month) => known(month.cost_forecast));
  const forecast = complete ? sum(present, "cost_forecast") : null;
  const parts = [
    make("h2", { text: `${dateText(first.from, "month")} so far` }),
    make("p", { class: "big cost" }, make("span", { text: priced.length ? shortMoney(soFar, currency) : "–" })),
    make("p", { class: "forecast" }, ...forecastWords(present, forecast, currency)),
    meter(soFar, forecast),
    scrollable("Cost of this month by utility", table("Cost of this month by utility", ["Utility", "Used", "So far", "Forecast"], months.map((month) => row(month, currency)))),
    make("p", { class: "quiet small", text: footnote(answer, present, priced) }),
  ];
  host.replaceChildren(...parts.filter(Boolean));
}

function known(value) {
  return value !== null && value !== undefined;
}

function sum(months, key) {
  return months.reduce((total, month) => total + (month[key] ?? 0), 0);
}

function forecastWords(months, forecast, currency) {
  if (forecast !== null) return ["about ", make("b", { text: shortMoney(forecast, currency) }), " by the month's end"];
  const days = Math.min(...months.map((month) => month.days_counted ?? 0), months.length ? Infinity : 0);
  if (days >= DAYS_MIN) return [make("span", { class: "quiet", text: "No sum and no forecast: what some of its days cost is not known." })];
  return [make("span", { class: "quiet", text: `A forecast needs three whole days; ${several(days, "day")} ${days === 1 ? "is" : "are"} known.` })];
}

function meter(soFar, forecast) {
  if (!forecast) return null;
  const fill = make("span", { class: "meter-fill" });
  fill.style.width = `${Math.min(100, (100 * soFar) / forecast)}%`;
  return make("div", { class: "meter", role: "img", "aria-label": `${Math.round((100 * soFar) / forecast)} % of the forecast` }, fill);
}

function row({ utility, unit, usage, cost, cost_forecast: forecast }, currency) {
  const name = make("span", { class: utility }, make("span", { class: "swatch" }), NAMES[utility]);
  return [name, quantityText(usage, unit, utility), shortMoney(cost, currency), shortMoney(forecast, currency)];
}

function footnote(answer, months, priced) {
  const until = answer.truth_until ? `Energy up to ${clock(answer.truth_until, answer.household.zone)}` : "Energy";
  const partial = months.some((month) => month.complete === false) ? " Days that are not known are left out." : "";
  const unpriced = months.filter((month) => priced.length && !priced.includes(month)).map(({ utility }) => NAMES[utility].toLowerCase());
  const missing = unpriced.length ? ` The sum lacks ${unpriced.join(" and ")}: what some of its days cost is not known.` : "";
  return `${until}, without standing charge and tax, which the invoice adds.${partial}${missing}`;
}
