// Figures that move from one value to the next, and the trace that they leave.

import { shape } from "../lib/dom.js";

const MOVE_MS = 600;
const TRACE_MS = 600000;
const LEAST_MS = 10000;
const LEAST_POINTS = 3; // fewer say nothing of a course
const CALM = matchMedia("(prefers-reduced-motion: reduce)");

// Returns set(value); `write(value)` shows one. A jump to or from unknown, or for who wants no motion, is at once.
export function moving(write) {
  let shown = null;
  let frame = 0;
  return (value) => {
    cancelAnimationFrame(frame);
    const from = shown;
    if (from === null || value === null || CALM.matches || document.hidden) {
      shown = value;
      write(value);
      return;
    }
    const began = performance.now();
    const step = (at) => {
      const done = Math.min(1, (at - began) / MOVE_MS);
      shown = Math.round(from + (value - from) * (1 - (1 - done) ** 3));
      write(shown);
      if (done < 1) frame = requestAnimationFrame(step);
    };
    frame = requestAnimationFrame(step);
  };
}

// Returns { element, add(at, value) }: the last minutes as a line, as far as this page has seen them.
export function trace() {
  const seen = [];
  const area = shape("path", { class: "trace-area" });
  const line = shape("path", { class: "trace-line" });
  const element = shape("svg", { class: "trace", viewBox: "0 0 120 32", preserveAspectRatio: "none", "aria-hidden": "true" }, area, line);

  function add(at, value) {
    if (seen.length && at <= seen.at(-1).at) return;
    seen.push({ at, value });
    while (seen[0].at < at - TRACE_MS) seen.shift();
    if (seen.length < LEAST_POINTS) return;
    const span = Math.max(at - seen[0].at, LEAST_MS);
    const most = Math.max(...seen.map((point) => point.value), 1);
    const points = seen.map((point) => `${(120 - (120 * (at - point.at)) / span).toFixed(1)} ${(30 - (27 * point.value) / most).toFixed(1)}`);
    line.setAttribute("d", `M${points.join("L")}`);
    const first = points[0].split(" ")[0];
    area.setAttribute("d", `M${first} 32L${points.join("L")}L120 32Z`);
  }

  return { element, add };
}
