import type { Segment } from "./api";

/**
 * The words of a segment, written as its text writes them: the text has the marks of its language, the words have
 * Whisper's own. Where the two do not match letter by letter, the words stay as they are.
 */
export function wordsOf({ text, words }: Pick<Segment, "text" | "words">): string[] {
  const own = words.map(({ word }, place) => (place ? word : word.trimStart()));
  const written = text.trim();
  if (own.join("").trimEnd().length !== written.length) return own;
  let at = 0;
  return own.map((word) => written.slice(at, (at += word.length)));
}
