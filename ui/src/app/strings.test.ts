import { describe, expect, it } from "vitest";
import { PAGE_OF, PAGES } from "@/app/pages";
import { fill } from "@/lib/i18n";
import { shared } from "@/lib/i18n/shared";
import type { Text } from "@/lib/types";

const strings: Record<string, Text> = Object.assign({}, shared, ...PAGES.map((page) => page.strings));
const holes = (text: string) => [...new Set([...text.matchAll(/\{(\w+)/g)].map((match) => match[1]))].sort();

const all = import.meta.glob<string>("/src/**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true });
const sources = Object.entries(all).filter(([path]) => !/strings\.ts$|\/i18n\/|\.test\.ts$|api\.gen\.ts$/.test(path));

/** Which of `keys` the text uses: by name, or by a family such as `rag.status.${status}`. */
function used(text: string, keys: readonly string[]): string[] {
  const families = [...text.matchAll(/`([\w.]+\.)\$\{/g)].map((match) => match[1] ?? "");
  return keys.filter((key) => text.includes(`"${key}"`) || families.some((family) => key.startsWith(family)));
}

describe("strings", () => {
  it.each(Object.entries(strings))("%s is there in both languages, with the same holes", (_, text) => {
    expect(text.en.trim()).not.toBe("");
    expect(text.zh.trim()).not.toBe("");
    expect(holes(text.zh)).toEqual(holes(text.en));
  });

  it("has no Chinese in the English, and Chinese in what is a sentence in Chinese", () => {
    for (const [key, { en, zh }] of Object.entries(strings)) {
      expect(en, key).not.toMatch(/[\u4e00-\u9fff]/);
      if (en.split(" ").length > 3) expect(zh, key).toMatch(/[\u4e00-\u9fff]/);
    }
  });

  it("has no key twice", () => {
    const count = [shared, ...PAGES.map((page) => page.strings)].flatMap((part) => Object.keys(part)).length;
    expect(Object.keys(strings)).toHaveLength(count);
  });
});

describe("keys", () => {
  it("are all used", () => {
    const code = sources.map(([, text]) => text).join("\n");
    const keys = Object.keys(strings);
    const known = new Set(used(code, keys));
    expect(keys.filter((key) => !known.has(key))).toEqual([]);
  });

  it("of a page are used by that page alone, so that its folder can be taken away", () => {
    const foreign = sources.flatMap(([path, text]) => {
      const others = Object.entries(PAGE_OF).filter(([folder]) => !path.startsWith(`/src/features/${folder}/`));
      return others.flatMap(([, page]) => used(text, Object.keys(page.strings)).map((key) => `${path}: ${key}`));
    });
    expect(foreign).toEqual([]);
  });
});

describe("fill", () => {
  it("fills holes and leaves unknown ones", () => {
    expect(fill("{a} of {b}", { a: 1 })).toBe("1 of {b}");
  });
  it("chooses the word for a number", () => {
    const text = "{n} {n|file|files}";
    expect([0, 1, 2].map((n) => fill(text, { n }))).toEqual(["0 files", "1 file", "2 files"]);
  });
});
