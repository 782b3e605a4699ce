// A chart that can be read point by point: with the pointer, or by the arrow keys as a slider, which screen readers
// tell by its text. What is read stands in a line of its own.

// Returns { offer(label, count, textOf, first), point(index) }. `mark(index)` shows a point, null none.
export function explorer(host, line, mark) {
  let count = 0;
  let textOf = () => "";
  let index = null;
  let rest = "";

  function read(next) {
    index = next === null || !count ? null : Math.max(0, Math.min(count - 1, next));
    line.textContent = index === null ? rest : textOf(index);
    if (index !== null) {
      host.setAttribute("aria-valuenow", index + 1);
      host.setAttribute("aria-valuetext", textOf(index));
    }
    mark(index);
  }

  host.setAttribute("role", "slider");
  host.setAttribute("aria-label", "Chart, loading");
  host.setAttribute("aria-valuenow", 0);
  host.tabIndex = 0;
  host.addEventListener("keydown", (event) => {
    const from = index ?? -1;
    const next = { ArrowRight: from + 1, ArrowLeft: Math.max(from, 1) - 1, Home: 0, End: count - 1 }[event.key];
    if (next === undefined) return;
    event.preventDefault();
    read(next);
  });
  host.addEventListener("blur", () => read(null));
  host.addEventListener("pointerleave", () => read(null));

  return {
    point: read,
    offer(label, size, words, resting) {
      count = size;
      textOf = words;
      rest = resting;
      host.setAttribute("aria-label", label);
      host.setAttribute("aria-valuemin", size ? 1 : 0);
      host.setAttribute("aria-valuemax", size);
      host.setAttribute("aria-valuenow", Math.min((index ?? 0) + 1, size));
      host.setAttribute("aria-valuetext", index === null ? resting : words(Math.min(index, size - 1)));
      read(index !== null && index < size ? index : null);
    },
  };
}
