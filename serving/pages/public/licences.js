// Third parties' licences, as their packages tell them.

import { ask } from "../lib/ask.js";
import { byId, make } from "../lib/dom.js";
import { showNoTrouble, showTrouble, start } from "../lib/page.js";

start({ open: true });
const { ok, status, body } = await ask(new URL("../licences.json", import.meta.url), { anonymous: true, cache: "default" });
if (ok) {
  showNoTrouble();
  byId("licences").replaceChildren(...body.items.map(licence));
} else showTrouble({ status, ...body }, null);

function licence({ name, version, licence: kind, description, homepage, text }) {
  return make("section", { class: "card licence" },
    make("h2", {}, `${name} ${version} `, make("span", { class: "tag", text: kind })),
    description ? make("p", { text: description }) : null,
    homepage ? make("p", { class: "quiet small", text: homepage }) : null,
    make("pre", { text }));
}
