/** What a block of code is besides code: something that can be drawn, or shown as a page; and the file it would be. */

export type Artefact = "mermaid" | "vega" | "page";

export function artefactOf(language: string | undefined, code: string): Artefact | null {
  if (language === "mermaid") return "mermaid";
  if (language === "vega-lite" || language === "vegalite" || language === "vega") return "vega";
  if (language === "json" && /"\$schema"\s*:\s*"https?:\/\/vega\.github\.io\/schema\/vega/.test(code.slice(0, 2000)))
    return "vega";
  if (language === "html" || language === "svg") return "page";
  return null;
}

const ENDINGS: Record<string, string> = {
  bash: "sh",
  csharp: "cs",
  javascript: "js",
  kotlin: "kt",
  markdown: "md",
  mermaid: "mmd",
  python: "py",
  ruby: "rb",
  rust: "rs",
  shell: "sh",
  typescript: "ts",
  "vega-lite": "vl.json",
  vegalite: "vl.json",
  vega: "vg.json",
  yaml: "yml",
};

/** The name of a block's file. */
export function fileOf(language: string | undefined): string {
  const ending =
    language === undefined ? "txt" : (ENDINGS[language] ?? (/^[a-z0-9]{1,5}$/.test(language) ? language : "txt"));
  return `code.${ending}`;
}

/** Rows as CSV (RFC 4180). A cell that a spreadsheet would take for a formula gets a quote before it. */
export function csvOf(rows: readonly (readonly string[])[]): string {
  const cell = (text: string) => {
    const safe = /^[=+@\t\r]|^-(?![\d.])/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
  };
  return rows.map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** Numbers by size, everything else by the alphabet of its language. */
export function byCell(a: string, b: string): number {
  const [x, y] = [asNumber(a), asNumber(b)];
  if (x !== null && y !== null) return x - y;
  return a.localeCompare(b, undefined, { numeric: true });
}

function asNumber(text: string): number | null {
  const bare = text
    .trim()
    .replace(/^[$€£¥]/, "")
    .replace(/%$/, "")
    .replaceAll(",", "");
  return bare !== "" && Number.isFinite(Number(bare)) ? Number(bare) : null;
}
