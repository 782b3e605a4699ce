// Regions by what they use: as rows of a table, and as shades of the map.

import { make } from "../lib/dom.js";
import { age, count } from "../lib/format.js";
import { quantityText } from "../lib/units.js";

const OTHER = "other";

// The regions that use a utility, greatest first, stale ones last, others at the end. `by` is total or meter.
export function rankedRows(regions, { utility, by }) {
  return regions
    .filter((region) => region.utilities[utility])
    .map((region) => {
      const use = region.utilities[utility];
      const value = by === "meter" ? use.rate / Math.max(1, use.active_meters) : use.rate;
      return { code: region.region, name: region.region === OTHER ? "Others" : region.name, other: region.region === OTHER, use, value };
    })
    .sort((one, two) => one.other - two.other || one.use.stale - two.use.stale || two.value - one.value);
}

// Shares are shown by their square root: people are so unevenly spread that most regions would be pale.
export function mapRows(rows, utility) {
  const most = greatest(rows);
  return new Map(rows.map((row) => [row.code, {
    share: most ? Math.sqrt(Math.max(0, row.value) / most) : 0,
    state: row.use.stale ? "stale" : "known",
    words: words(row, utility),
  }]));
}

function greatest(rows) {
  return Math.max(0, ...rows.filter((row) => !row.use.stale && !row.other).map((row) => row.value));
}

function words({ name, use, value }, utility) {
  const rate = use.stale ? `stale: newest window ended ${age(use.age_s)}` : quantityText(Math.round(value), use.rate_unit, utility);
  return `${name}: ${rate} · ${count(use.active_meters)} meters active, ${count(use.silent_meters)} silent`;
}

export function showRanking(host, rows, { utility }) {
  const most = greatest(rows);
  // A link that somebody has reached by the keyboard stays reached.
  const focused = host.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  host.tBodies[0].replaceChildren(...rows.map((row) => line(row, most, utility)));
  if (focused) host.querySelector(`a[href="${CSS.escape(focused)}"]`)?.focus({ preventScroll: true });
}

function line(row, most, utility) {
  const fill = make("span", { class: "bar-fill" });
  fill.style.width = row.use.stale || !most ? "0" : `${Math.min(100, (100 * row.value) / most)}%`;
  const name = row.other ? row.name : make("a", { href: `/region/${encodeURIComponent(row.code)}`, text: row.name });
  return make("tr", { class: row.use.stale ? "stale" : null, title: row.use.stale ? `newest window ended ${age(row.use.age_s)}` : null },
    make("th", { scope: "row" }, name),
    make("td", { class: "bar" }, make("span", { class: "bar-track" }, fill)),
    make("td", { text: row.use.stale ? "stale" : quantityText(Math.round(row.value), row.use.rate_unit, utility) }),
    make("td", { text: count(row.use.active_meters) }),
    make("td", { class: row.use.silent_meters ? "some" : null, text: count(row.use.silent_meters) }));
}
