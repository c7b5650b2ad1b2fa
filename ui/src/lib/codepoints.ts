/** The server counts characters as Unicode code points, JavaScript strings as UTF-16 units: 𠮷 is one and two. */

/** The UTF-16 index of each code point offset of `text`; offsets in any order, those past the end give its length. */
export function toUnits(text: string, offsets: readonly number[]): number[] {
  // Without astral characters both counts are the same.
  if (!/[\ud800-\udbff]/.test(text)) return offsets.map((offset) => Math.max(0, Math.min(offset, text.length)));
  const order = offsets.map((offset, index) => ({ offset, index })).sort((a, b) => a.offset - b.offset);
  const out = new Array<number>(offsets.length).fill(text.length);
  let unit = 0;
  let point = 0;
  for (const { offset, index } of order) {
    while (point < offset && unit < text.length) {
      unit += (text.codePointAt(unit) ?? 0) > 0xffff ? 2 : 1;
      point++;
    }
    out[index] = unit;
  }
  return out;
}

/** A stretch of a text and what is true of it. */
export interface Piece {
  text: string;
  passage: boolean;
  quote: boolean;
}

/** Cuts `text` where a passage and a quote within it begin and end; ranges in UTF-16 units, empty pieces left out. */
export function pieces(
  text: string,
  passage: readonly [number, number] | null,
  quote: readonly [number, number] | null,
): Piece[] {
  const inside = (range: readonly [number, number] | null, at: number) =>
    range !== null && at >= range[0] && at < range[1];
  const cuts = [0, text.length, ...(passage ?? []), ...(quote ?? [])].map((cut) =>
    Math.max(0, Math.min(cut, text.length)),
  );
  const sorted = [...new Set(cuts)].sort((a, b) => a - b);
  return sorted.slice(0, -1).map((from, index) => ({
    text: text.slice(from, sorted[index + 1]),
    passage: inside(passage, from),
    quote: inside(quote, from),
  }));
}
