// Light and dark: the choice between them, and the style sheet's colours for what is drawn on a canvas.

import { make, shape } from "./dom.js";

const KEY = "meterbeat-scheme"; // read before anything is drawn by scheme.js
const SCHEMES = { "": "As the system", light: "Light", dark: "Dark" };
const root = document.documentElement;

// The value of a custom property where an element stands, e.g. colour(element, "--line"). It may differ by scheme,
// which only a property that takes colours resolves.
export function colour(element, name) {
  const probe = make("i", { hidden: true });
  probe.style.color = `var(${name})`;
  element.append(probe);
  const value = getComputedStyle(probe).color;
  probe.remove();
  return value;
}

// Calls draw() whenever the colours change: light or dark, by the system or by choice, or paper.
export function onColours(draw) {
  for (const query of ["(prefers-color-scheme: dark)", "print"]) matchMedia(query).addEventListener("change", draw);
  document.addEventListener("scheme", draw);
}

// A list to choose from that looks like a button: small enough for a phone, and a list to whoever hears it.
export function schemeChoice() {
  const select = make("select", { id: "scheme", "aria-label": "Colours" },
    ...Object.entries(SCHEMES).map(([value, text]) => make("option", { value, text, selected: value === root.style.colorScheme })));
  select.addEventListener("change", () => {
    root.style.colorScheme = select.value;
    try {
      localStorage.setItem(KEY, select.value);
    } catch {
      // Storage is forbidden: the choice holds for this page.
    }
    document.dispatchEvent(new Event("scheme"));
  });
  const sign = shape("svg", { viewBox: "0 0 20 20", "aria-hidden": "true" },
    shape("circle", { cx: 10, cy: 10, r: 7 }), shape("path", { d: "M10 3a7 7 0 0 1 0 14z" }));
  return make("span", { class: "scheme", title: "Colours: light, dark or as the system" }, sign, select);
}
