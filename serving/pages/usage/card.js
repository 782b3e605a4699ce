// Usage of any time, by hours, days or months, compared with another: what is chosen, asked and shown.

import { address, askAll } from "../lib/ask.js";
import { byId, make } from "../lib/dom.js";
import { choice } from "../lib/page.js";
import { addDays, dateIn } from "../lib/times.js";
import { NAMES } from "../lib/units.js";
import { comparedTo, comparisons, periodAt, stepped, TABS, titleOf } from "./period.js";
import { usageView } from "./view.js";

const EXPORTS = { csv: "CSV", parquet: "Parquet", espi: "Green Button" };

// Returns { begin(zone), refresh(), draw(), choose(utility), utility } of a card over an API path that answers usage.
// `exports` is the path of files if there are any, `tabs` those of TABS that the path answers, and `yesterday` says that
// the newest day known is the one before. The card's element hears "chosen" when the choice changes.
export function usageCard(host, path, { exports = null, tabs = Object.keys(TABS), yesterday = false } = {}) {
  const chosen = { utility: "electricity", by: "hour", date: null, compare: "before", ...remembered(tabs) };
  const heading = host.querySelector("h2").textContent.toLowerCase();
  let zone = null;
  let newestDay = null;
  let asked = 0;
  let newest = null;

  const view = usageView(host.querySelector("[data-part=chart]"), host.querySelector("[data-part=below]"));
  const day = make("input", { type: "date", "aria-label": "Day to show", required: true });
  const compare = make("select", { id: "compare" });
  const title = make("h3", { class: "period", "aria-live": "polite" });
  const next = step("Later", "›", 1);
  const today = make("button", { type: "button", class: "plain", text: yesterday ? "Newest" : "Today", onclick: () => pick({ date: latest() }) });
  const utilities = choice("Utility", NAMES, chosen.utility, (utility) => pick({ utility }));
  const named = Object.fromEntries(tabs.map((by) => [by, TABS[by]]));
  day.addEventListener("change", () => day.value && pick({ date: day.value > latest() ? latest() : day.value }));
  compare.addEventListener("change", () => pick({ compare: compare.value }));
  host.querySelector("[data-part=choices]").append(
    utilities, choice("Shown by", named, chosen.by, (by) => pick({ by })),
    make("span", { class: "picker" }, step("Earlier", "‹", -1), day, next, today));
  host.querySelector("[data-part=title]").append(title,
    make("label", { class: "compare" }, make("span", { class: "quiet", text: "Compare with " }), compare));

  function latest() {
    return yesterday ? addDays(dateIn(zone), -1) : dateIn(zone);
  }

  function step(label, sign, steps) {
    return make("button", { type: "button", class: "plain step", "aria-label": label, text: sign, onclick: () => pick({ date: stepped(chosen.by, chosen.date, steps) }) });
  }

  function pick(change) {
    Object.assign(chosen, change);
    if (chosen.date > latest()) chosen.date = latest();
    const date = chosen.date === latest() ? "now" : chosen.date;
    history.replaceState(null, "", `#${[chosen.utility, chosen.by, date, chosen.compare].join("/")}`);
    host.dispatchEvent(new Event("chosen"));
    showChoice();
    load();
  }

  function showChoice() {
    newestDay = latest();
    const period = periodAt(chosen.by, chosen.date);
    title.textContent = zone === "UTC" ? `${titleOf(period)}, UTC` : titleOf(period);
    host.querySelector("h2").textContent = `${NAMES[chosen.utility]} ${heading}`;
    day.value = chosen.date;
    day.max = newestDay;
    next.disabled = period.to > newestDay;
    today.disabled = chosen.date === newestDay;
    const names = comparisons(chosen.by);
    if (!(chosen.compare in names)) chosen.compare = "before";
    compare.replaceChildren(...Object.entries(names).map(([key, text]) => make("option", { value: key, text, selected: key === chosen.compare })));
    host.classList.remove(...Object.keys(NAMES));
    host.classList.add(chosen.utility);
    if (exports) showExports(period);
  }

  function showExports({ from, to }) {
    byId("exports").replaceChildren("Download these hours: ", ...Object.entries(EXPORTS).map(([format, name]) =>
      make("a", { href: address(exports, { format, utility: chosen.utility, from, to }), download: true, text: name })));
  }

  async function load() {
    const turn = (asked += 1);
    const period = periodAt(chosen.by, chosen.date);
    const other = comparedTo(period, chosen.compare);
    const query = ({ by, from, to }) => ({ utility: chosen.utility, by, from, to });
    const key = JSON.stringify([chosen.utility, period, other]);
    const [answer, before] = await Promise.all([askAll(path, query(period)), other && askAll(path, query(other))]);
    if (turn !== asked) return;
    const shown = newest?.key === key ? newest : null;
    newest = { key, answer: orOlder(answer, shown?.answer), before: orOlder(before, shown?.before), period, other, utility: chosen.utility, zone };
    draw();
  }

  function draw() {
    if (newest) view.show(newest);
  }

  return {
    draw,
    get utility() { return chosen.utility; },
    choose(utility) {
      utilities.choose(utility);
      pick({ utility });
    },
    begin(itsZone) {
      if (zone === itsZone) return;
      zone = itsZone;
      if (!chosen.date || chosen.date > latest()) chosen.date = latest();
      showChoice();
      load();
    },
    // Asks again where what is shown still grows, or was not answered. Whoever sees the newest day goes on with it.
    refresh() {
      if (!zone) return;
      const turned = latest() !== newestDay;
      if (turned && chosen.date === newestDay) chosen.date = latest();
      if (turned) showChoice();
      if (turned || periodAt(chosen.by, chosen.date).to > latest() || !newest?.answer.ok) load();
    },
  };
}

// An answer, or an older one to the same question where it failed: what is shown stays.
function orOlder(answer, older) {
  return answer?.ok || !older?.ok ? answer : older;
}

// What the address says of the last choice.
function remembered(tabs) {
  const [utility, by, date, compare] = location.hash.slice(1).split("/");
  const found = {};
  if (utility in NAMES) found.utility = utility;
  if (tabs.includes(by)) found.by = by;
  if (/^\d{4}-\d\d-\d\d$/.test(date ?? "")) found.date = date;
  if (compare) found.compare = compare;
  return found;
}
