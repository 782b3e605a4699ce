// A household's invoices, newest first; the lines of one are asked for when it is opened.

import { address, ask } from "../lib/ask.js";
import { make, scrollable, table } from "../lib/dom.js";
import { capital, money, several } from "../lib/format.js";
import { clock, dateText } from "../lib/times.js";
import { NAMES, quantityText, system } from "../lib/units.js";

const SHOWN = 6;

// Returns load(zone), which asks and shows.
export function invoiceCard(host, path) {
  const list = make("div", { class: "invoices" });
  const more = make("button", { type: "button", class: "plain", text: "Earlier invoices", hidden: true });
  host.append(list, more);
  let cursor = null;
  let newest = null;
  let zone = "UTC";
  more.addEventListener("click", () => load(cursor));

  async function load(from) {
    const { ok, body } = await ask(address(path, { limit: SHOWN, cursor: from }));
    // What is as it was stays, and so does an invoice that somebody has opened.
    const told = JSON.stringify([body, system()]);
    if (!from && told === newest) return;
    if (!from) {
      newest = told;
      list.replaceChildren();
    }
    if (!ok) {
      list.append(make("p", { class: "quiet", text: `${body.title}. ${body.detail ?? ""}` }));
      return;
    }
    cursor = body.next;
    more.hidden = !cursor;
    list.append(...body.items.map((item) => invoice(item, path, zone)));
    if (!list.childElementCount) list.append(make("p", { class: "quiet small", text: "No invoice has been issued yet." }));
  }

  return (itsZone) => {
    zone = itsZone;
    return load(null);
  };
}

function invoice(item, path, zone) {
  const lines = make("div", { class: "lines" });
  const kind = item.kind === "invoice" ? "" : `${capital(item.kind)} · `;
  const head = make("summary", { class: item.stands === false && item.kind === "invoice" ? "undone" : "" },
    make("span", { class: "month", text: kind + dateText(item.month, "month") }),
    make("span", { class: "total", text: money(item.total, item.currency) }),
    make("small", { class: "quiet", text: [`No ${item.number}`, `issued ${clock(item.issued_at, zone)}`, standing(item)].filter(Boolean).join(" · ") }));
  const element = make("details", { class: "invoice" }, head, lines);
  element.addEventListener("toggle", () => element.open && !lines.childElementCount && showLines(lines, item, path));
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
