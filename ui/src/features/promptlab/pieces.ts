const PLACE = /\{\{\s*([\p{L}_][\p{L}\p{N}_]{0,39})\s*\}\}/gu;

/** A prompt's text, cut where variables begin and end. */
export function pieces(text: string): { text: string; isVariable: boolean }[] {
  const found: { text: string; isVariable: boolean }[] = [];
  let at = 0;
  for (const match of text.matchAll(PLACE)) {
    if (match.index > at) found.push({ text: text.slice(at, match.index), isVariable: false });
    found.push({ text: match[0], isVariable: true });
    at = match.index + match[0].length;
  }
  if (at < text.length) found.push({ text: text.slice(at), isVariable: false });
  return found;
}

/** The names of the variables, in the order in which they come. */
export function variables(...texts: string[]): string[] {
  return [...new Set(texts.flatMap((text) => [...text.matchAll(PLACE)].map((match) => match[1] ?? "")))];
}

/** What is expected, as one types it. */
export const shownExpected = (expected: unknown): string =>
  typeof expected === "string" ? expected : JSON.stringify(expected);

/** And back: an object or a list where it is one. */
export function readExpected(text: string, grader: string): unknown {
  if (!["json", "schema", "contains"].includes(grader) || !/^\s*[[{]/.test(text)) return text;
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text; // half typed; the server says what is wrong with it when it is saved
  }
}
