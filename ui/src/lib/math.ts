/**
 * Formulas in answers. Models write `\(x\)`, `\[x\]`, `$x$` and `$$x$$`; the Markdown plugin is given `$$` only, because
 * a single dollar is more often a price: `$x$` counts as a formula only with something of TeX between.
 */

const CODE = /(```[\s\S]*?(?:```|$)|`[^`\n]*`)/;
const INLINE = /\\\(([^\n]+?)\\\)/g;
const DISPLAY = /\\\[([\s\S]+?)\\\]/g;
const SINGLE = /(?<![$\\\w])\$(?!\s)([^$\n]*[\\^_{}=][^$\n]*?)(?<!\s)\$(?![$\w])/g;

/** `text` with every formula between `$$`, code left alone. */
export function normalMath(text: string): string {
  return text
    .split(CODE)
    .map((piece, index) =>
      index % 2
        ? piece
        : piece
            .replace(DISPLAY, (_, tex: string) => `\n$$\n${tex.trim()}\n$$\n`)
            .replace(INLINE, (_, tex: string) => `$$${tex.trim()}$$`)
            .replace(SINGLE, (_, tex: string) => `$$${tex}$$`),
    )
    .join("");
}

export function hasMath(text: string): boolean {
  return text.split(CODE).some((piece, index) => index % 2 === 0 && piece.includes("$$"));
}
