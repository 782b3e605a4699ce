// How much of what is known the prices tell of: usage of this day is priced by the next night.

// Returns words that follow a sum of costs: nothing where all is priced, else for how many of the items.
export function pricedOf(items) {
  const priced = items.filter((item) => item.cost_micro !== null && item.cost_micro !== undefined);
  const part = priced.filter((item) => item.cost_complete === false).length;
  const whole = priced.length - part;
  if (whole === items.length) return "";
  if (!part) return ` for ${whole} of ${items.length}`;
  const partly = items.length === 1 ? "part of it" : `part of ${part}`;
  return ` for ${whole ? `${whole} of ${items.length} and ${partly}` : items.length === 1 ? partly : `${partly} of ${items.length}`}`;
}
