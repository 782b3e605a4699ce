// The hours of a day as bars, with another day's behind them. Slots are the hours of `today`: 23, 24 or 25.

const SVG = "http://www.w3.org/2000/svg";
const HEIGHT = 168;
const LEFT = 66;
const BOTTOM = 20;
const TOP = 10;

function add(parent, name, attributes, text) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== undefined) element.textContent = text;
  parent.append(element);
  return element;
}

// A round number at or above the value, so that the top line of the chart can be read.
function ceiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((step) => step * power).find((step) => step >= value);
}

// Pairs each hour of today with yesterday's hour of the same clock time. An hour that the clock repeats has
// its counterpart once only, one that it skips yesterday has none.
export function pairs(today, yesterday) {
  const rest = [...yesterday];
  return today.map((hour) => {
    const clock = hour.from.slice(11, 13);
    const index = rest.findIndex((other) => other.from.slice(11, 13) === clock);
    return { clock, today: hour, yesterday: index < 0 ? null : rest.splice(index, 1)[0] };
  });
}

// `text` turns a quantity into words, `mark` one on the scale; `now` is the instant in ms up to which today has run.
export function draw(chart, hours, label, { text, mark }, now) {
  const width = Math.max(chart.clientWidth, 240);
  const height = chart.clientHeight || HEIGHT;
  const top = ceiling(Math.max(1, ...hours.flatMap((hour) => [hour.today.usage ?? 0, hour.yesterday?.usage ?? 0])));
  const floor = height - BOTTOM;
  const y = (value) => floor - (value / top) * (floor - TOP);
  const step = (width - LEFT) / hours.length;
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
  svg.setAttribute("role", "img");
  svg.setAttribute("aria-label", label);
  const known = hours.some((hour) => hour.today.usage !== null || hour.yesterday?.usage != null);
  if (!known) add(svg, "text", { x: (LEFT + width) / 2, y: height / 2, "text-anchor": "middle" }, "no hours known");
  for (const value of known ? [0, top / 2, top] : [0]) {
    add(svg, "line", { class: "grid", x1: LEFT, x2: width, y1: y(value), y2: y(value) });
    add(svg, "text", { x: LEFT - 8, y: y(value) + 4, "text-anchor": "end" }, value ? mark(value) : "0");
  }
  hours.forEach((hour, index) => {
    const x = LEFT + index * step;
    const slot = add(svg, "g", {});
    add(slot, "rect", { class: "slot", x, y: TOP, width: step, height: floor - TOP });
    if (hour.yesterday?.usage) bar(slot, "ghost", x + step * 0.06, step * 0.88, y(hour.yesterday.usage), floor);
    const running = !hour.today.complete && Date.parse(hour.today.from) + 3600000 > now;
    if (hour.today.usage) bar(slot, running ? "running" : "bar", x + step * 0.22, step * 0.56, y(hour.today.usage), floor);
    add(slot, "title", {}, `${hour.clock}:00  today ${text(hour.today.usage)}, yesterday ${text(hour.yesterday?.usage)}`);
    if (index % (step < 16 ? 6 : 3) === 0) {
      add(svg, "text", { x: x + step / 2, y: height - 5, "text-anchor": "middle" }, hour.clock);
    }
  });
  chart.replaceChildren(svg);
}

function bar(parent, name, x, width, top, floor) {
  const height = Math.max(floor - top, 1.5);
  add(parent, "rect", { class: name, x, y: floor - height, width, height, rx: Math.min(2, width / 3) });
}
