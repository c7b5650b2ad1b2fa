/** A passage as it reads in a line or two: Markdown's marks left out. Only for a preview; offsets do not hold in it. */
export function plainPassage(text: string): string {
  const bare = text
    .replace(/^#{1,6}\s+.*$/gm, "")
    .replace(/^\s*[|:-]+\s*$/gm, "")
    .replace(/(\*\*|__|`{1,3})/g, "")
    .replace(/\n{2,}/g, "\n")
    .trim();
  return bare || text.replace(/^#{1,6}\s+/gm, "").trim();
}
