/** Where answers of several models part. */

/**
 * The index of the part in each answer that holds the first character not shared by all; null where all that has come is
 * alike. Answers may be cut into tokens differently, so characters decide and the tokens that hold them are named. An
 * answer that ends where others go on has its length (one past its last part).
 */
export function firstDifference(answers: readonly (readonly string[])[]): number[] | null {
  if (answers.length < 2) return null;
  const texts = answers.map((parts) => parts.join(""));
  const shortest = Math.min(...texts.map((text) => text.length));
  let at = 0;
  while (at < shortest && texts.every((text) => text[at] === texts[0]?.[at])) at++;
  if (at === shortest && texts.every((text) => text.length === shortest)) return null;
  return answers.map((parts) => partAt(parts, at));
}

function partAt(parts: readonly string[], offset: number): number {
  let end = 0;
  for (const [index, part] of parts.entries()) {
    end += part.length;
    if (offset < end) return index;
  }
  return parts.length;
}
