// Numbers, money and ages as people read them.

const NUMBERS = new Map();

export function number(value, digits = 0) {
  if (!NUMBERS.has(digits)) {
    NUMBERS.set(digits, new Intl.NumberFormat("en", { minimumFractionDigits: digits, maximumFractionDigits: digits }));
  }
  return NUMBERS.get(digits).format(value).replace("-", "−");
}

// Three significant digits, as a meter's display would round them.
export function rounded(value) {
  const size = Math.abs(value);
  return number(value, size >= 99.95 ? 0 : size >= 9.995 ? 1 : 2);
}

export function count(value) {
  return value === null || value === undefined ? "–" : number(value, 0);
}

const COMPACT = new Intl.NumberFormat("en", { notation: "compact", maximumSignificantDigits: 3 });

export function compact(value) {
  return value === null || value === undefined ? "–" : COMPACT.format(value);
}

// How many minor units make a unit of a currency: a hundred, but there are some without cents.
function minorUnits(currency) {
  return currency ? 10 ** new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits : 100;
}

// Minor units of a currency as an amount; a null amount is unknown.
export function money(minor, currency) {
  if (minor === null || minor === undefined) return "–";
  const units = minor / minorUnits(currency);
  const amount = currency ? new Intl.NumberFormat("en", { style: "currency", currency }).format(units) : number(units, 2);
  return amount.replace("-", "−");
}

// The same in few digits where it is huge: a million and more.
export function shortMoney(minor, currency) {
  if (minor === null || minor === undefined || Math.abs(minor) < 1e8) return money(minor, currency);
  const options = currency ? { style: "currency", currency } : {};
  return new Intl.NumberFormat("en", { ...options, notation: "compact", maximumFractionDigits: 2 }).format(minor / minorUnits(currency)).replace("-", "−");
}

// How one quantity stands to another, in words and without judging: "4 % less", "the same", null if not to tell.
export function change(value, before) {
  if (value === null || value === undefined || !before) return null;
  const percent = Math.round((value / before - 1) * 100);
  if (percent === 0) return "the same";
  if (percent > 900) return `${number(value / before, 0)} times as much`;
  return `${number(Math.abs(percent))} % ${percent > 0 ? "more" : "less"}`;
}

// The same with what it is held against: "4 % less than yesterday", "the same as yesterday".
export function changeFrom(value, before, whom) {
  const told = change(value, before);
  return told && `${told} ${told.endsWith("more") || told.endsWith("less") ? "than" : "as"} ${whom}`;
}

export function share(part, whole) {
  if (!whole || part === null || part === undefined) return "–";
  const percent = (100 * part) / whole;
  return percent > 0 && percent < 0.1 ? "< 0.1 %" : `${number(percent, percent < 10 ? 1 : 0)} %`;
}

export function age(seconds) {
  if (seconds < 90) return `${seconds} s ago`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min ago`;
  return seconds < 129600 ? `${Math.round(seconds / 3600)} h ago` : `${Math.round(seconds / 86400)} days ago`;
}

export function capital(word) {
  return word ? word[0].toUpperCase() + word.slice(1) : "";
}

export function several(quantity, one, more = `${one}s`) {
  return `${count(quantity)} ${quantity === 1 ? one : more}`;
}
