// What the country used by the hour of the day before. A night is published once a day, some minutes after midnight:
// what is known is asked for once a utility and day, what is not is asked for again.

import { address, ask } from "../lib/ask.js";
import { addDays } from "../lib/times.js";

// Returns of(load, utility): the hours of the day before that of an answer of the load, null where they are not known.
// It asks at most once for each answer, however often that is drawn.
export function yesterdays() {
  const known = new Map();
  return (load, utility) => {
    const today = load.as_of.slice(0, 10);
    const key = `${utility} ${today}`;
    const before = known.get(key);
    if (before && (before.hours || before.load === load)) return before.asked;
    const entry = { load, hours: null, asked: hoursBefore(today, utility) };
    entry.asked.then((hours) => { entry.hours = hours; });
    known.set(key, entry);
    return entry.asked;
  };
}

async function hoursBefore(today, utility) {
  const query = { utility, by: "hour", from: addDays(today, -1), to: today };
  const { ok, body } = await ask(address("/api/v1/country/usage", query));
  return ok && body.items.some((item) => item.usage !== null) ? body.items : null;
}
