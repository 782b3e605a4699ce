// Bars of a period with those of another behind them. What is not measured is hatched.

import uPlot from "../vendor/uplot/dist/uPlot.esm.js";
import { make } from "../lib/dom.js";
import { colour } from "../lib/theme.js";
import { axes, ceiling, plotted, pointer } from "./canvas.js";
import { explorer } from "./explore.js";

// Slots are { tick, text, value, ghost, hatched, ghostHatched, running }; a tick that is null is not written.
// Returns show(slots, { size, name }, label, resting).
export function barChart(host, line) {
  const box = make("div", { class: "plot" });
  const highlight = make("div", { class: "highlight", hidden: true });
  host.append(box);
  let shown = { slots: [], unit: { size: 1, name: "" } };
  const explored = explorer(host, line, mark);
  const canvas = plotted(box, () => (shown.slots.length ? plan(box, shown, explored.point, highlight) : null));

  function mark(index) {
    const plot = canvas?.plot;
    highlight.hidden = index === null || !plot;
    if (highlight.hidden) return;
    const from = plot.valToPos(index - 0.5, "x");
    highlight.style.left = `${from}px`;
    highlight.style.width = `${plot.valToPos(index + 0.5, "x") - from}px`;
  }

  return (slots, unit, label, resting) => {
    shown = { slots, unit };
    explored.offer(label, slots.length, (index) => slots[index].text, resting);
    canvas.draw();
  };
}

function plan(box, { slots, unit }, read, highlight) {
  const figures = (key) => slots.map((slot) => (slot[key] === null || slot[key] === undefined ? null : slot[key] / unit.size));
  const [values, ghosts] = [figures("value"), figures("ghost")];
  const all = [...values, ...ghosts].filter((value) => value !== null);
  const least = Math.min(0, ...all);
  const range = [least < 0 ? -ceiling(-least) : 0, ceiling(Math.max(...all, 0)) || 1];
  const ticked = slots.flatMap((slot, index) => (slot.tick === null ? [] : [index]));
  const { cursor, setCursor } = pointer(read);
  const silent = { paths: () => null, points: { show: false } };
  return {
    data: [slots.map((_, index) => index), values, ghosts],
    options: {
      scales: { x: { time: false, range: [-0.5, slots.length - 0.5] }, y: { range } },
      axes: axes(box, { splits: thinned(ticked, box.clientWidth), words: (index) => slots[index].tick, name: unit.name }),
      series: [{}, silent, silent],
      cursor,
      padding: [10, 4, 0, 0],
      hooks: { ready: [(u) => u.over.append(highlight)], draw: [(u) => paint(u, box, slots)], setCursor },
    },
  };
}

// As many ticks as the width has room for.
function thinned(ticked, width) {
  const every = Math.ceil(ticked.length / Math.max(2, Math.floor((width - 60) / 44)));
  return ticked.filter((_, index) => index % every === 0);
}

function paint(u, box, slots) {
  const ratio = uPlot.pxRatio;
  const step = u.bbox.width / slots.length;
  const inks = { bar: colour(box, "--colour"), ghost: colour(box, "--ghost") };
  const floor = u.valToPos(0, "y", true);
  u.ctx.save();
  slots.forEach((slot, index) => {
    const at = u.bbox.left + step * index;
    const bar = (value, ink, from, wide, hatched, faint) => {
      if (!value) return;
      const top = u.valToPos(value, "y", true);
      const height = Math.max(Math.abs(floor - top), 1.5 * ratio);
      const place = [at + step * from, value > 0 ? floor - height : floor, step * wide, height];
      u.ctx.globalAlpha = faint ? 0.55 : 1;
      u.ctx.beginPath();
      u.ctx.roundRect(...place, value > 0 ? [Math.min(3 * ratio, (step * wide) / 3), Math.min(3 * ratio, (step * wide) / 3), 0, 0] : 0);
      if (hatched) hatch(u.ctx, place, ink, ratio);
      else {
        u.ctx.fillStyle = ink;
        u.ctx.fill();
      }
    };
    bar(u.data[2][index], inks.ghost, 0.08, 0.84, slot.ghostHatched, false);
    bar(u.data[1][index], inks.bar, 0.24, 0.52, slot.hatched, slot.running);
  });
  u.ctx.restore();
}

// Stripes within the path that is open, with an outline.
function hatch(ctx, [x, y, width, height], ink, ratio) {
  ctx.save();
  ctx.clip();
  ctx.strokeStyle = ink;
  ctx.lineWidth = 1.6 * ratio;
  ctx.beginPath();
  for (let at = x - height; at < x + width; at += 5 * ratio) {
    ctx.moveTo(at, y + height);
    ctx.lineTo(at + height, y);
  }
  ctx.stroke();
  ctx.lineWidth = 2 * ratio;
  ctx.strokeRect(x, y, width, height);
  ctx.restore();
}
