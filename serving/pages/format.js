// Quantities, rates and times as people read them. Times are the household's, never the browser's.

const NUMBERS = new Map();

function number(value, digits) {
  if (!NUMBERS.has(digits)) {
    NUMBERS.set(digits, new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return NUMBERS.get(digits).format(value);
}

// Three significant digits, as a meter's display would round them.
function rounded(value) {
  return number(value, Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2);
}

const STEPS = {
  Wh: [[1e9, "GWh"], [1e6, "MWh"], [1e3, "kWh"]],
  W: [[1e9, "GW"], [1e6, "MW"], [1e3, "kW"], [1, "W"]],
};

// A null quantity is unknown, which is not nothing: it is shown as a dash.
export function quantity(value, unit, utility) {
  if (value === null || value === undefined) return { figure: "–", unit: "" };
  if (unit === "Wh" || unit === "W") {
    const [size, name] = STEPS[unit].find(([least]) => value >= least) ?? STEPS[unit].at(-1);
    return { figure: size === 1 ? number(value, 0) : rounded(value / size), unit: name };
  }
  const per = unit === "L/h" ? "/h" : "";
  if (value >= 1e4 || (utility === "gas" && value >= 1e3) || (utility === "gas" && !per)) {
    return { figure: rounded(value / 1000), unit: `m³${per}` };
  }
  return { figure: number(value, 0), unit: `L${per}` };
}

export function quantityText(value, unit, utility) {
  const { figure, unit: name } = quantity(value, unit, utility);
  return name ? `${figure} ${name}` : figure;
}

// The same without digits that say nothing, for the scale of a chart.
export function scaleText(value, unit, utility) {
  return quantityText(value, unit, utility).replace(/(\.\d*?)0+(?= )/, "$1").replace(". ", " ");
}

const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

// A rate for a small square: with its unit in watts, else the bare number of m³/h.
export function tileText(value, unit) {
  return unit === "W" ? quantityText(value, unit) : COMPACT.format(value / 1000);
}

export function count(value) {
  return number(value, 0);
}

const CLOCKS = new Map();

// An instant as the time of day in a zone; with its date too if that is not today there.
export function clock(instant, zone, seconds = true) {
  const key = `${zone} ${seconds}`;
  if (!CLOCKS.has(key)) {
    const time = { timeZone: zone, hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
    if (seconds) time.second = "2-digit";
    CLOCKS.set(key, {
      time: new Intl.DateTimeFormat("en", time),
      day: new Intl.DateTimeFormat("en", { timeZone: zone, month: "short", day: "numeric" }),
    });
  }
  const { time, day } = CLOCKS.get(key);
  const then = new Date(instant);
  return day.format(then) === day.format(new Date()) ? time.format(then) : `${day.format(then)}, ${time.format(then)}`;
}

export function age(seconds) {
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 129600 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
}
