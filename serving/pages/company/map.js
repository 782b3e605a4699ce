// The country's regions as shapes, shaded by what they use. The ranking beside it holds the same figures and
// ways as a table, for who cannot see or point at a shape.

import feature from "../vendor/topojson-client/src/feature.js";
import { ask } from "../lib/ask.js";
import { make, shape } from "../lib/dom.js";
import { FIPS } from "./fips.js";

const ATLAS = new URL("../vendor/us-atlas/states-albers-10m.json", import.meta.url);
const LABEL_AREA = 1500; // of its box; smaller states have no room for a name

// Returns show(rows): rows are a Map by region code of { share (0 to 1), state, words }. `read(words)` is told
// what the pointer is at, null when it leaves.
export function countryMap(host, read) {
  const svg = shape("svg", { viewBox: "0 0 975 610", class: "atlas", "aria-hidden": "true" });
  const states = new Map();
  let newest = null;
  host.append(svg);
  ask(ATLAS, { anonymous: true, cache: "default" }).then(({ ok, body }) => {
    if (!ok) host.replaceChildren(make("p", { class: "quiet", text: `The map's geometry is not here: ${body.detail ?? body.title}` }));
    else place(body);
  });

  function place(atlas) {
    for (const { id, geometry } of feature(atlas, atlas.objects.states).features) {
      if (!FIPS[id]) continue;
      const code = `US-${FIPS[id]}`;
      const { path, box, middle: [x, y] } = drawn(geometry);
      const area = (box.right - box.left) * (box.bottom - box.top);
      const link = shape("a", { class: "state none", href: `/region/${code}`, tabindex: -1 }, shape("path", { d: path }));
      const name = area > LABEL_AREA && shape("text", { x, y: y + 4, text: FIPS[id] });
      link.addEventListener("pointerenter", () => read(newest?.get(code)?.words ?? `${FIPS[id]}: nothing heard`));
      link.addEventListener("pointerleave", () => read(null));
      states.set(code, { link, name });
      svg.append(link);
    }
    // Names lie above all shapes, so that no neighbour cuts them.
    svg.append(...[...states.values()].map(({ name }) => name).filter(Boolean));
    if (newest) paint();
  }

  function paint() {
    for (const [code, { link }] of states) {
      const row = newest.get(code);
      link.setAttribute("class", `state ${row?.state ?? "none"}`);
      link.style.setProperty("--share", `${Math.round(10 + 90 * (row?.share ?? 0))}%`);
    }
  }

  return (rows) => {
    newest = rows;
    paint();
  };
}

// A geometry as an SVG path; the box of its largest ring, and the middle of that: where its name goes.
export function drawn({ type, coordinates }) {
  const polygons = type === "Polygon" ? [coordinates] : coordinates;
  let most = -1;
  let box = null;
  let middle = null;
  const rings = polygons.flatMap((polygon) => polygon.map((ring) => {
    const [xs, ys] = [ring.map(([x]) => x), ring.map(([, y]) => y)];
    const own = { left: Math.min(...xs), right: Math.max(...xs), top: Math.min(...ys), bottom: Math.max(...ys) };
    const area = (own.right - own.left) * (own.bottom - own.top);
    if (area > most) [most, box, middle] = [area, own, centroid(ring)];
    return `M${ring.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join("L")}Z`;
  }));
  return { path: rings.join(""), box, middle };
}

// The centre of gravity of what a ring encloses.
function centroid(ring) {
  let [x, y, twice] = [0, 0, 0];
  ring.forEach(([x1, y1], index) => {
    const [x2, y2] = ring[(index + 1) % ring.length];
    const cross = x1 * y2 - x2 * y1;
    x += (x1 + x2) * cross;
    y += (y1 + y2) * cross;
    twice += cross;
  });
  return [x / (3 * twice), y / (3 * twice)];
}
