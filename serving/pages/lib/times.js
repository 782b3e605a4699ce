// Times and dates of a zone that is told, never the browser's. Dates are YYYY-MM-DD, as the API tells them.

const FORMATS = new Map();

function format(zone, options) {
  const key = `${zone} ${JSON.stringify(options)}`;
  if (!FORMATS.has(key)) FORMATS.set(key, new Intl.DateTimeFormat("en", { timeZone: zone, ...options }));
  return FORMATS.get(key);
}

const CLOCK = { hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
const SECONDS = { ...CLOCK, second: "2-digit" };
const DAY = { month: "short", day: "numeric" };

// An instant as the time of day in a zone; with its date too if that is not today there, with its year if not this one.
export function clock(instant, zone, seconds = false) {
  const then = new Date(instant);
  const time = format(zone, seconds ? SECONDS : CLOCK).format(then);
  const date = dateIn(zone, then);
  const today = dateIn(zone, new Date());
  if (date === today) return time;
  return `${format(zone, date.slice(0, 4) === today.slice(0, 4) ? DAY : { ...DAY, year: "numeric" }).format(then)}, ${time}`;
}

// The date in a zone, now or at an instant.
export function dateIn(zone, instant = new Date()) {
  const parts = Object.fromEntries(
    format(zone, { year: "numeric", month: "2-digit", day: "2-digit" }).formatToParts(instant).map(({ type, value }) => [type, value]));
  return `${parts.year}-${parts.month}-${parts.day}`;
}

const noon = (date) => new Date(`${date}T12:00:00Z`);
const iso = (instant) => instant.toISOString().slice(0, 10);

export function addDays(date, days) {
  const moved = noon(date);
  moved.setUTCDate(moved.getUTCDate() + days);
  return iso(moved);
}

// The first of the month that is some months on.
export function addMonths(date, months) {
  const moved = noon(`${date.slice(0, 7)}-01`);
  moved.setUTCMonth(moved.getUTCMonth() + months);
  return iso(moved);
}

const STYLES = {
  day: { weekday: "short", month: "short", day: "numeric" },
  long: { weekday: "long", month: "long", day: "numeric", year: "numeric" },
  date: { month: "short", day: "numeric", year: "numeric" },
  month: { month: "long", year: "numeric" },
  shortMonth: { month: "short" },
  weekday: { weekday: "long" },
};

// A date in words: as a day, long, a date with its year, a month or a weekday.
export function dateText(date, style = "day") {
  return format("UTC", STYLES[style]).format(noon(date.length === 7 ? `${date}-01` : date));
}

// Texts of the API name instants in full; readers want them as a clock's time.
export function readable(text, zone) {
  return text.replace(/\d{4}-\d\d-\d\dT[\d:.]+(Z|[+-]\d\d:\d\d)/g, (instant) => clock(instant, zone));
}

export function zoneText(zone) {
  return zone === "UTC" ? "UTC" : `local time of ${zone.split("/").pop().replaceAll("_", " ")}`;
}
