// uPlot as all charts here use it: one size with its box, the page's colours, and paper.

import uPlot from "../vendor/uplot/dist/uPlot.esm.js";
import { colour, onColours } from "../lib/theme.js";

const PAPER_PX = 640;
const FONT = '12px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif';

// A round number at or above a value, so that the top line of a chart can be read.
export function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(value || 1));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value * 0.999) ?? value;
}

// Keeps a plot in a box: `plan()` returns { data, options } of what is to be drawn now, or null for nothing.
export function plotted(box, plan) {
  let plot = null;

  function draw() {
    plot?.destroy();
    plot = null;
    const planned = plan();
    if (!planned || !box.clientWidth) return;
    const size = { width: box.clientWidth, height: box.clientHeight };
    plot = new uPlot({ ...size, legend: { show: false }, ...planned.options }, planned.data, box);
  }

  new ResizeObserver(() => {
    if (!plot) draw();
    else if (plot.width !== box.clientWidth) plot.setSize({ width: box.clientWidth, height: box.clientHeight });
  }).observe(box);
  onColours(draw);
  addEventListener("beforeprint", () => plot?.setSize({ width: Math.min(PAPER_PX, plot.width), height: plot.height }));
  addEventListener("afterprint", () => plot?.setSize({ width: box.clientWidth, height: box.clientHeight }));
  return { draw, get plot() { return plot; } };
}

// The axes of a chart: what stands below, and few round lines at the side.
export function axes(box, { splits, words, name }) {
  const look = { stroke: colour(box, "--quiet"), font: FONT, ticks: { show: false } };
  const grid = { stroke: colour(box, "--line"), width: 1 };
  return [
    { ...look, grid: { show: false }, splits: () => splits, values: (_, at) => at.map(words), size: 26, gap: 4 },
    { ...look, grid, size: wide, gap: 6, splits: (u) => lines(u.scales.y), values: (_, at) => at.map((value) => `${plain(value)}${value ? ` ${name}` : ""}`) },
  ];
}

// As wide as its longest label.
function wide(_, labels) {
  return Math.max(40, 14 + 6.8 * Math.max(0, ...(labels ?? []).map((label) => label.length)));
}

function lines({ min, max }) {
  return min < 0 ? [min, 0, max] : [0, max / 2, max];
}

// As few digits as tell a round number.
function plain(value) {
  return new Intl.NumberFormat("en", { maximumSignificantDigits: 4, notation: Math.abs(value) >= 1e5 ? "compact" : "standard" }).format(value);
}

// The pointer's nearest point is told to `read`, and nothing is dragged or zoomed.
export function pointer(read) {
  return {
    cursor: { x: false, y: false, points: { show: false }, drag: { x: false, y: false, setScale: false } },
    setCursor: [(u) => u.cursor.left >= 0 && read(u.cursor.idx)],
  };
}
