// Hours of two days side by side, and what is said of figures that are not measured.

import { shape, table } from "../lib/dom.js";

// Pairs each slot of one period with the other's of the same name. A name that comes twice (an hour that the clock
// repeats) takes its counterparts in turn; one without a counterpart (an hour that it skips) has none.
export function paired(ones, others, nameOf) {
  const rest = [...others];
  return ones.map((one) => {
    const name = nameOf(one);
    const index = rest.findIndex((other) => nameOf(other) === name);
    return { one, other: index < 0 ? null : rest.splice(index, 1)[0] };
  });
}

export const hourOf = (slot) => slot.from.slice(11, 13);

// The name of each hour; where the clock repeats one, each with its offset.
export function hourNames(hours) {
  const clocks = hours.map((hour) => hour.from.slice(11, 16));
  return hours.map((hour, index) => (clocks.filter((clock) => clock === clocks[index]).length > 1
    ? `${clocks[index]} (${offset(hour.from)})` : clocks[index]));
}

function offset(instant) {
  return instant.endsWith("Z") ? "UTC" : `UTC${instant.slice(-6).replace("-", "−")}`;
}

// Whether a figure is there and not all of it is measured.
export function unmeasured(figure) {
  return Boolean(figure?.quality) && figure.quality !== "measured";
}

const MINI = { width: 240, height: 56 };

// A day in miniature: its hours, with those of another day behind them.
export function miniature(hours, label, now) {
  const most = Math.max(1, ...hours.flatMap(({ one, other }) => [one.usage ?? 0, other?.usage ?? 0]));
  const step = MINI.width / hours.length;
  const bar = (figure, kind, index, from, wide) => {
    const usage = figure?.usage;
    if (!usage || usage < 0) return null;
    const height = Math.max((MINI.height * usage) / most, 1);
    return shape("rect", { class: unmeasured(figure) ? `${kind} doubtful` : kind, x: step * (index + from), y: MINI.height - height, width: step * wide, height });
  };
  const bars = hours.flatMap(({ one, other }, index) => {
    const running = !one.complete && Date.parse(one.from) <= now && Date.parse(one.from) + 3600000 > now;
    return [bar(other, "ghost", index, 0.08, 0.84), bar(one, running ? "bar running" : "bar", index, 0.24, 0.52)];
  });
  return shape("svg", { class: "miniature", viewBox: `0 0 ${MINI.width} ${MINI.height}`, preserveAspectRatio: "none", role: "img", "aria-label": label }, ...bars);
}

export function hoursTable(caption, hours, text) {
  const names = hourNames(hours.map(({ one }) => one));
  return table(caption, ["Hour", "Today", "Yesterday"], hours.map(({ one, other }, index) => [names[index], text(one), text(other)]));
}
