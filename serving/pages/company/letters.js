// Dead letters: why each is one, its bytes, and the way back onto its topic.

import { address, ask } from "../lib/ask.js";
import { make, say, scrollable, table, whileDisabled } from "../lib/dom.js";
import { count } from "../lib/format.js";
import { clock } from "../lib/times.js";

const LIMIT = 20;
const PATH = "/api/v1/operations/dead-letters";

// Lists letters in `host`; `more` asks for older ones, `said` tells what became of that or of a replay.
export function deadLetters(host, more, said) {
  // Each is kept as it is shown: its bytes may be open, its way back taken.
  const rows = [];
  let cursor = null;

  async function load() {
    const { ok, body } = await ask(address(PATH, { limit: LIMIT, cursor }));
    const trouble = ok ? "" : `${body.title}. ${body.detail ?? ""}`;
    if (rows.length) say(said, trouble);
    else if (!ok) host.replaceChildren(make("p", { class: "quiet small", text: trouble }));
    if (!ok) return;
    rows.push(...body.items.map(row));
    cursor = body.next;
    more.hidden = !cursor;
    show();
  }

  function show() {
    if (!rows.length) {
      host.replaceChildren(make("p", { class: "quiet small", text: "There is none: every message was a heartbeat." }));
      return;
    }
    const heads = ["Where", "Reason", "When (UTC)", "Bytes", "Value", make("span", { class: "unseen", text: "Way back" })];
    host.replaceChildren(scrollable("Dead letters", table("Dead letters", heads, rows, { class: "letters", words: [1, 4] })));
  }

  function row(letter) {
    const place = `${letter.topic}/${letter.partition}/${letter.offset}`;
    const again = make("button", { type: "button", class: "plain", text: "Replay", "aria-label": `Replay ${place}`, onclick: () => replay(letter, place, again) });
    return [make("span", { class: "mono", text: place }), letter.reason, clock(letter.at, "UTC", true), count(letter.size_bytes), preview(letter), again];
  }

  async function replay(letter, place, button) {
    button.disabled = true;
    const { ok, body } = await ask(`${PATH}/replay`, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ place: letter.place, topic: letter.topic, partition: letter.partition, offset: letter.offset }),
    });
    said.textContent = ok ? `${place} was put back on its topic.` : `${place}: ${body.title}. ${body.detail ?? ""}`;
    button.disabled = ok;
  }

  const loadOnce = () => whileDisabled(more, load);
  more.addEventListener("click", loadOnce);
  addEventListener("online", () => rows.length || loadOnce());
  loadOnce();
}

function preview({ value_preview: value }) {
  if (!value) return "–";
  return make("details", {}, make("summary", { text: "bytes" }), make("span", { class: "mono", text: value.replace(/../g, "$& ").trim() }));
}
