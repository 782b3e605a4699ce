// Elements in few words. Styles are set by the DOM, never by an attribute, which the content policy forbids.

export const byId = (id) => document.getElementById(id);

// make("p", { class: "quiet", text: "…", onclick }, child, …); null children and attributes are left out.
export function make(name, properties = {}, ...children) {
  return fill(document.createElement(name), properties, children);
}

const SVG = "http://www.w3.org/2000/svg";

export function shape(name, properties = {}, ...children) {
  return fill(document.createElementNS(SVG, name), properties, children);
}

function fill(element, properties, children) {
  for (const [key, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

// A table's head and rows. A head or a cell is text or an element; the first of a row is its heading. `words` are the columns,
// by index, that hold words and not figures.
export function table(caption, heads, rows, { words = [], ...properties } = {}) {
  const style = (index) => (words.includes(index) ? "words" : null);
  const cells = (row) => row.map((cell, index) => {
    const made = index ? make("td", { class: style(index) }) : make("th", { scope: "row" });
    made.append(cell ?? "–");
    return made;
  });
  return make("table", properties,
    make("caption", { class: "unseen", text: caption }),
    make("thead", {}, make("tr", {}, ...heads.map((head, index) => make("th", { scope: "col", class: style(index) }, head)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...cells(row)))));
}

// A wide table scrolls within its box, so that a narrow screen need not.
export function scrollable(label, child) {
  return make("div", { class: "scrolls", tabindex: 0, role: "group", "aria-label": label }, child);
}

// A table behind a summary, shown anew whenever its figures change: it stays as open, focused and scrolled as somebody
// left it. Returns { element, show(label, table) }; the element is hidden until there is a table.
export function tableBehind(words) {
  const box = scrollable(words, "");
  const element = make("details", { hidden: true }, make("summary", { text: words }), box);
  function show(label, made) {
    element.hidden = false;
    box.setAttribute("aria-label", label);
    box.replaceChildren(made);
  }
  return { element, show };
}

// Disables a button while what it began goes on, so that a second click begins nothing twice; if it had the focus, it
// has it again after that.
export async function whileDisabled(button, work) {
  if (button.disabled) return;
  const focused = document.activeElement === button;
  button.disabled = true;
  try {
    await work();
  } finally {
    button.disabled = false;
    if (focused && document.activeElement === document.body) button.focus({ preventScroll: true });
  }
}

// Replaces what an element holds only if that changes its words, so that a screen reader is told of news alone.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
