/** The part of a passage that a search found: a window around the words asked for, and where they stand in it. */

export interface Piece {
  text: string;
  hit: boolean;
}

/** Characters of a window; Chinese says in these what takes English two lines more. */
const SIZE = 280;
const HAN = /\p{Script=Han}/u;

/** What to look for: words and numbers as they are, Chinese as pairs of characters, for it has no spaces. */
function termsOf(query: string): string[] {
  const terms = new Set<string>();
  for (const [run] of query.matchAll(/\p{Script=Han}+|[\p{L}\p{N}](?:[\p{L}\p{N}_.\-/]*[\p{L}\p{N}])?/gu)) {
    if (!HAN.test(run)) {
      if (run.length > 2 || /\d/.test(run)) terms.add(run);
    } else if (run.length < 3) terms.add(run);
    else for (let at = 0; at + 2 <= run.length; at++) terms.add(run.slice(at, at + 2));
  }
  return [...terms];
}

interface Span {
  start: number;
  end: number;
}

function spansOf(text: string, query: string): Span[] {
  const terms = termsOf(query).map((term) => term.replace(/[.*+?^${}()|[\]\\/]/g, "\\$&"));
  if (!terms.length) return [];
  const found: Span[] = [];
  for (const term of terms) {
    for (const match of text.matchAll(new RegExp(term, "giu"))) {
      found.push({ start: match.index, end: match.index + match[0].length });
    }
  }
  found.sort((a, b) => a.start - b.start);
  const joined: Span[] = [];
  for (const { start, end } of found) {
    const last = joined.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else joined.push({ start, end });
  }
  return joined;
}

/** Where a window begins that holds as much as can be of what was found. */
function beginOf(text: string, spans: readonly Span[], size: number): number {
  let best = 0;
  let most = -1;
  for (const { start } of spans) {
    const held = spans.filter((span) => span.start >= start && span.end <= start + size);
    const weight = held.reduce((sum, span) => sum + span.end - span.start, 0);
    if (weight > most) [best, most] = [start, weight];
  }
  // A little of what comes before, from where a line, a sentence or at least a word begins.
  const from = Math.max(0, best - Math.floor(size / 4));
  if (from === 0) return 0;
  const before = text.slice(from, best);
  const sentence = Math.max(before.lastIndexOf("\n"), ...[...before.matchAll(/[.!?]\s|[。！？；]/g)].map(lastOf));
  if (sentence >= 0) return from + sentence + 1;
  const word = before.indexOf(" ");
  return word >= 0 ? from + word + 1 : from;
}

const lastOf = (match: RegExpExecArray): number => match.index + match[0].length - 1;

/** The window of `text` that answers `query`, in pieces; where nothing of it stands there by word, its beginning. */
export function snippet(text: string, query: string, size = SIZE): Piece[] {
  const spans = spansOf(text, query);
  const begin = text.length <= size ? 0 : beginOf(text, spans, size);
  const end = Math.min(text.length, begin + size);
  const pieces: Piece[] = [];
  const add = (from: number, to: number, hit: boolean) => {
    if (to > from) pieces.push({ text: text.slice(from, to), hit });
  };
  let at = begin;
  for (const span of spans) {
    if (span.end <= begin || span.start >= end) continue;
    add(at, Math.max(at, span.start), false);
    add(Math.max(at, span.start), Math.min(end, span.end), true);
    at = Math.min(end, span.end);
  }
  add(at, end, false);
  if (begin > 0) pieces.unshift({ text: "… ", hit: false });
  if (end < text.length) pieces.push({ text: " …", hit: false });
  return pieces;
}
