// What all pages share: who is here, where they may go, the units, and the way out.

import { ask } from "./ask.js";
import { byId, make, say, whileDisabled } from "./dom.js";
import { capital } from "./format.js";
import { logOut, session } from "./session.js";
import { schemeChoice } from "./theme.js";
import { readable } from "./times.js";
import { choose, system } from "./units.js";

const COUNTRY = [["/", "Country"], ["/quality", "Data quality"]];
const PLACES = { household: [], device: [], analyst: COUNTRY, operator: [...COUNTRY, ["/operations", "Operations"]] };

// Fills the head of the page. One that is `open` to all has figures of nobody, and there may be no session.
export async function start({ open = false } = {}) {
  document.querySelector(".title").after(
    make("p", { id: "told", class: "unseen", role: "status" }),
    make("p", { id: "still-in", class: "notes", role: "alert", hidden: true }),
    make("section", { id: "trouble", class: "card trouble", role: "alert", hidden: true },
      make("h2", { id: "trouble-title" }), make("p", { id: "trouble-detail" })));
  byId("tools").append(...(open ? [] : [unitChoice()]), schemeChoice());
  const who = open ? await session() : (await ask("/api/v1/session")).body;
  showNavigation(who?.role ? who : null);
}

function showNavigation(who) {
  const places = who?.role === "household" ? [[who.home, "My household"]] : PLACES[who?.role] ?? [];
  document.querySelector(".brand").href = who?.home ?? "/";
  byId("nav").replaceChildren(...places.map(([path, name]) =>
    make("a", { href: path, "aria-current": path === location.pathname ? "page" : null, text: name })));
  if (who?.role === "operator") byId("nav").append(opener());
  byId("tools").append(who
    ? wayOut()
    : make("a", { href: "/login", text: "Log in" }));
}

function wayOut() {
  const button = make("button", { type: "button", class: "plain", text: "Log out" });
  button.addEventListener("click", () => whileDisabled(button, async () => {
    byId("still-in").hidden = true;
    const problem = await logOut();
    if (!problem) return;
    byId("still-in").textContent = `You are still logged in: ${problem.title.toLowerCase()}. Try again.`;
    byId("still-in").hidden = false;
  }));
  return button;
}

function opener() {
  const field = make("input", {
    id: "user-id", inputmode: "numeric", pattern: "[1-9][0-9]{7}", required: true, maxlength: 8, size: 9,
    placeholder: "Household id", "aria-label": "Open a household by its id of 8 digits", autocomplete: "off",
  });
  const form = make("form", { class: "opener", role: "search" }, field, make("button", { class: "plain", text: "Open" }));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.assign(`/household/${encodeURIComponent(field.value)}`);
  });
  return form;
}

function unitChoice() {
  const names = { metric: "Metric", us: "US" };
  return choice("Units", names, system(), choose);
}

// Buttons of which one is pressed; onChosen(key) hears of another. Its `choose(key)` presses one silently.
export function choice(label, names, first, onChosen) {
  const group = make("div", { class: "choice", role: "group", "aria-label": label });
  const press = (key) => {
    for (const button of group.children) button.setAttribute("aria-pressed", String(button.dataset.key === key));
  };
  for (const [key, name] of Object.entries(names)) {
    group.append(make("button", {
      type: "button", "data-key": key, text: name, onclick: () => {
        press(key);
        onChosen(key);
      },
    }));
  }
  press(first);
  group.choose = press;
  return group;
}

// Tells how fresh the figures are: fresh, stale or away. A screen reader is told of another state alone, for the words
// change with every heartbeat.
export function showFreshness(state, text) {
  const line = byId("freshness");
  const before = line.dataset.state;
  line.dataset.state = state;
  say(line, text);
  if (before && before !== state) say(byId("told"), text);
}

// Tells what is to be noted of the figures: texts of the API, with their times in a zone.
export function showNotes(notes, zone) {
  byId("notes").hidden = !notes.length;
  byId("notes").replaceChildren(...notes.map((note) => make("li", { text: capital(readable(note, zone)) })));
}

// Tells of a failure: above what is shown already, or in its place. `newestAt` is the time of what is shown, or null.
export function showTrouble({ status, title, detail }, newestAt) {
  byId("main").setAttribute("aria-busy", "false");
  showFreshness("away", newestAt ? `${title}. What you see is from ${newestAt}.` : "");
  byId("trouble").hidden = Boolean(newestAt);
  if (newestAt) return;
  byId("trouble-title").textContent = title;
  const again = status === 503 || status === 0 || status === 429;
  byId("trouble-detail").textContent = capital(again ? `${detail} This page asks again by itself.` : detail);
}

export function showNoTrouble() {
  byId("main").setAttribute("aria-busy", "false");
  byId("trouble").hidden = true;
}
