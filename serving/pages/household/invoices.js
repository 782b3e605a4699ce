// A household's invoices, newest first; the lines of one are asked for when it is opened.

import { address, ask } from "../lib/ask.js";
import { make, say, scrollable, table, whileDisabled } from "../lib/dom.js";
import { capital, money, several } from "../lib/format.js";
import { clock, dateText } from "../lib/times.js";
import { NAMES, quantityText } from "../lib/units.js";

const SHOWN = 6;

// Returns { refresh(zone), draw() }, which ask again, and show anew in other units. What is shown stays where the next
// answer fails.
export function invoiceCard(host, path) {
  const list = make("div", { class: "invoices" });
  const more = make("button", { type: "button", class: "plain", text: "Earlier invoices", hidden: true });
  const said = make("div", { class: "quiet small", role: "status" });
  host.append(list, more, said);
  let items = null;
  let cursor = null;
  let zone = "UTC";
  let turn = Promise.resolve();
  more.addEventListener("click", () => whileDisabled(more, () => inTurn(earlier)));

  // One question after the other: earlier invoices must not follow a list that began anew while they were asked for.
  function inTurn(work) {
    turn = turn.then(work);
    return turn;
  }

  async function begin() {
    const { ok, body } = await ask(address(path, { limit: SHOWN }));
    if (!ok) {
      if (!items) list.replaceChildren(make("p", { class: "quiet", text: trouble(body) }));
      return;
    }
    // A list that begins as it did stays, with what was added to it.
    if (items && JSON.stringify(body.items) === JSON.stringify(items.slice(0, SHOWN))) return;
    items = body.items;
    cursor = body.next;
    draw();
  }

  async function earlier() {
    const { ok, body } = await ask(address(path, { limit: SHOWN, cursor }));
    say(said, ok ? "" : trouble(body));
    if (!ok) return;
    items = [...items, ...body.items];
    cursor = body.next;
    more.hidden = !cursor;
    list.append(...body.items.map((item) => invoice(item, path, zone)));
  }

  function draw() {
    if (!items) return;
    const open = new Set([...list.querySelectorAll("details[open]")].map((one) => one.dataset.number));
    list.replaceChildren(...items.map((item) => invoice(item, path, zone, open.has(item.number))));
    if (!items.length) list.append(make("p", { class: "quiet small", text: "No invoice has been issued yet." }));
    more.hidden = !cursor;
  }

  return {
    draw,
    refresh(itsZone) {
      zone = itsZone;
      return inTurn(begin);
    },
  };
}

function trouble({ title, detail }) {
  return `${title}. ${detail ?? ""}`;
}

function invoice(item, path, zone, open = false) {
  const lines = make("div", { class: "lines" });
  const kind = item.kind === "invoice" ? "" : `${capital(item.kind)} · `;
  const head = make("summary", { class: item.stands === false && item.kind === "invoice" ? "undone" : "" },
    make("span", { class: "month", text: kind + dateText(item.month, "month") }),
    make("span", { class: "total", text: money(item.total, item.currency) }),
    make("small", { class: "quiet", text: [`No ${item.number}`, `issued ${clock(item.issued_at, zone)}`, standing(item)].filter(Boolean).join(" · ") }));
  const element = make("details", { class: "invoice", "data-number": item.number, open }, head, lines);
  // Lines that were not answered are asked for again when it is opened again.
  element.addEventListener("toggle", () => element.open && !lines.querySelector("table") && showLines(lines, item, path));
  return element;
}

function standing(item) {
  if (item.reverses) return `takes back No ${item.reverses}`;
  return item.stands === false ? "no longer stands" : item.version > 1 ? `version ${item.version}` : null;
}

async function showLines(host, item, path) {
  const { ok, body } = await ask(`${path}/${encodeURIComponent(item.number)}`);
  if (!ok) {
    host.replaceChildren(make("p", { class: "quiet", text: body.title }));
    return;
  }
  const rows = body.lines.map((line) => [words(line), used(line, body.currency), money(line.amount, body.currency)]);
  rows.push(["Total", "", money(body.total, body.currency)]);
  host.replaceChildren(scrollable(`Lines of invoice ${item.number}`, table(`Lines of invoice ${item.number}`, ["Line", "Quantity", "Amount"], rows)));
}

function words({ utility, component, label }) {
  return `${NAMES[utility]} · ${component === "energy" ? label : `${label} (${component === "tax" ? "tax" : "standing charge"})`}`;
}

// A tax is levied on an amount; a standing charge runs by the day.
function used({ utility, quantity, unit }, currency) {
  if (unit === "minor") return `on ${money(quantity, currency)}`;
  return unit === "day" ? several(quantity, "day") : quantityText(quantity, unit, utility);
}
