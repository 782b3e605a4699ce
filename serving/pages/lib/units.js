// Quantities and rates in the units that somebody chose: metric ones, or those of the US. Remembered in this browser.

import { number, rounded } from "./format.js";

const KEY = "meterbeat-units";
const GALLON_L = 3.785411784;
const CUBIC_FOOT_L = 28.316846592;
// The average heat of a cubic foot of gas in the US, 1,038 Btu; a therm has 100,000.
const THERM_L = CUBIC_FOOT_L * (100000 / 1038);
export const NAMES = { electricity: "Electricity", gas: "Gas", water: "Water" };

// [from how many, size, name], greatest first, in Wh, W or litres; a rate of litres has "/h" after the name.
const ELECTRICITY = {
  Wh: [[1e9, 1e9, "GWh"], [1e6, 1e6, "MWh"], [10, 1e3, "kWh"], [0, 1, "Wh"]],
  W: [[1e9, 1e9, "GW"], [1e6, 1e6, "MW"], [1e3, 1e3, "kW"], [0, 1, "W"]],
};
const LITRES = {
  metric: {
    gas: [[1e9, 1e9, "million m³"], [10, 1e3, "m³"], [0, 1, "L"]],
    water: [[1e9, 1e9, "GL"], [1e7, 1e6, "ML"], [1e4, 1e3, "m³"], [0, 1, "L"]],
  },
  us: {
    gas: [[1e6 * CUBIC_FOOT_L, 1e6 * CUBIC_FOOT_L, "MMcf"], [100 * CUBIC_FOOT_L, 100 * CUBIC_FOOT_L, "ccf"], [0, CUBIC_FOOT_L, "ft³"]],
    water: [[1e6 * GALLON_L, 1e6 * GALLON_L, "Mgal"], [0, GALLON_L, "gal"]],
  },
};
// From here on a gallon has no part that anybody reads; 9.995 is where three digits come to 10.0.
const WHOLE_GALLONS = 9.995;
const SMALL_GAS_RATE = { metric: [0, 1, "L"], us: [0, CUBIC_FOOT_L, "ft³"] };

let chosen = read();

function read() {
  try {
    return localStorage.getItem(KEY) === "us" ? "us" : "metric";
  } catch {
    return "metric";
  }
}

export function system() {
  return chosen;
}

// Chooses metric or us; the document hears of it by the event "units".
export function choose(next) {
  chosen = next;
  try {
    localStorage.setItem(KEY, next);
  } catch {
    // Storage is forbidden: the choice holds for this page.
  }
  document.dispatchEvent(new CustomEvent("units"));
}

// The unit in which a quantity is best read: { size, name }. A chart takes that of its greatest value.
export function scaleOf(value, unit, utility, by = chosen) {
  const [, size, name] = ladder(unit, utility, by, Math.abs(value)).find(([least]) => Math.abs(value) >= least);
  return { size, name: unit === "L/h" ? `${name}/h` : name };
}

function ladder(unit, utility, by, value) {
  if (unit === "Wh" || unit === "W") return ELECTRICITY[unit];
  const steps = LITRES[by][utility];
  // A cooker burns litres an hour; nobody reads that in cubic metres.
  return utility === "gas" && unit === "L/h" && value < 1e3 ? [SMALL_GAS_RATE[by]] : steps;
}

// A null quantity is unknown, which is not nothing: it is shown as a dash.
export function quantity(value, unit, utility) {
  if (value === null || value === undefined) return { figure: "–", unit: "" };
  const { size, name } = scaleOf(value, unit, utility);
  return { figure: inScale(value, { size, name }), unit: name };
}

export function quantityText(value, unit, utility) {
  const { figure, unit: name } = quantity(value, unit, utility);
  return name ? `${figure} ${name}` : figure;
}

// Texts of the API tell whole Wh and litres; readers want them in their units.
export function inUnits(text, utility) {
  return text.replace(/(\d+) (Wh|L)\b/g, (_, value, unit) => quantityText(Number(value), unit, utility));
}

// A value in a unit that was chosen for others beside it.
export function inScale(value, { size, name }) {
  if (value === null || value === undefined) return "–";
  const whole = size === 1 || (name.startsWith("gal") && (!value || Math.abs(value / size) >= WHOLE_GALLONS));
  return whole ? number(value / size, 0) : rounded(value / size);
}

// Heat is what a gas bill of the US counts; as the gas's own heat is not metered here, the average stands for it.
export function therms(litres) {
  return litres === null || litres === undefined || chosen !== "us" ? null : `≈ ${rounded(litres / THERM_L)} therms`;
}
