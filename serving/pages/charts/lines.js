// Load over a day as lines: today, yesterday behind it, and what the rest of today is expected to be.

import { make } from "../lib/dom.js";
import { colour } from "../lib/theme.js";
import { axes, ceiling, plotted, pointer } from "./canvas.js";
import { explorer } from "./explore.js";

// Points are { text, tick, today, yesterday, forecast }, evenly spaced; null is a gap.
// Returns show(points, { size, name }, label, resting).
export function lineChart(host, line) {
  const box = make("div", { class: "plot" });
  const needle = make("div", { class: "needle", hidden: true });
  host.append(box);
  let shown = { points: [], unit: { size: 1, name: "" } };
  const explored = explorer(host, line, mark);
  const canvas = plotted(box, () => (shown.points.length ? plan(box, shown, explored.point, needle) : null));

  function mark(index) {
    const plot = canvas?.plot;
    needle.hidden = index === null || !plot;
    if (!needle.hidden) needle.style.left = `${plot.valToPos(index, "x")}px`;
  }

  return (points, unit, label, resting) => {
    shown = { points, unit };
    explored.offer(label, points.length, (index) => points[index].text, resting);
    canvas.draw();
  };
}

function plan(box, { points, unit }, read, needle) {
  const column = (key) => points.map((point) => (point[key] === null || point[key] === undefined ? null : point[key] / unit.size));
  const data = [column("yesterday"), column("forecast"), column("today")];
  const most = Math.max(0, ...data.flat().filter((value) => value !== null));
  const ticked = points.flatMap((point, index) => (point.tick ? [index] : []));
  const every = Math.ceil(ticked.length / Math.max(2, Math.floor((box.clientWidth - 60) / 44)));
  const { cursor, setCursor } = pointer(read);
  const ink = colour(box, "--colour");
  const drawn = (stroke, more) => ({ stroke, width: 2, points: { show: false }, spanGaps: false, ...more });
  return {
    data: [points.map((_, index) => index), ...data],
    options: {
      scales: { x: { time: false, range: [0, Math.max(1, points.length - 1)] }, y: { range: [0, ceiling(most) || 1] } },
      axes: axes(box, { splits: ticked.filter((_, index) => index % every === 0), words: (index) => points[index]?.tick, name: unit.name }),
      series: [
        {},
        drawn(colour(box, "--edge"), { width: 1.5, spanGaps: true }),
        drawn(ink, { dash: [5, 5], spanGaps: true }),
        drawn(ink, { fill: `color-mix(in srgb, ${ink} 10%, transparent)` }),
      ],
      cursor,
      padding: [10, 8, 0, 0],
      hooks: { ready: [(u) => u.over.append(needle)], setCursor },
    },
  };
}
