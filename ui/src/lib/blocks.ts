/** A document's text in pieces that the browser lays out only when they come into sight. Positions are UTF-16 units. */

export interface Block {
  start: number;
  text: string;
  /** Set on the first block of a page. */
  page: number | null;
  /** A line of its own that the outline names. */
  heading: boolean;
}

const MOST = 6_000;

/** Cuts at pages and headings, and further at line ends so that no block is much longer than `MOST`. */
export function blocksOf(
  text: string,
  pages: readonly { page: number; start: number }[],
  headings: readonly number[],
  most = MOST,
): Block[] {
  const firsts = new Map(pages.length > 1 ? pages.map(({ page, start }) => [start, page]) : []);
  const heads = new Set(headings);
  const lineEnds = headings.map((start) => text.indexOf("\n", start) + 1 || text.length);
  const cuts = [...new Set([0, ...firsts.keys(), ...headings, ...lineEnds])]
    .filter((cut) => cut < text.length)
    .sort((a, b) => a - b);
  return cuts.flatMap((start, index) => {
    const end = cuts[index + 1] ?? text.length;
    return split(text, start, end, most).map(([from, to]) => ({
      start: from,
      text: text.slice(from, to),
      page: firsts.get(from) ?? null,
      heading: heads.has(from),
    }));
  });
}

function split(text: string, start: number, end: number, most: number): [number, number][] {
  const out: [number, number][] = [];
  for (let from = start; from < end;) {
    const line = end - from > most ? text.lastIndexOf("\n", from + most) + 1 : end;
    const to = line > from ? line : Math.min(end, from + most);
    out.push([from, to]);
    from = to;
  }
  return out;
}
