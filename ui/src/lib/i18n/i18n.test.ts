import { describe, expect, it } from "vitest";
import { fill } from ".";
import { chat } from "./chat";
import { common } from "./shell";
import { jobs } from "./jobs";
import { models } from "./models";
import { rag } from "./rag";
import { roadmap } from "./roadmap";
import { serving } from "./serving";
import { settings } from "./settings";
import { strings } from "./strings";

const holes = (text: string) => [...new Set([...text.matchAll(/\{(\w+)/g)].map((match) => match[1]))].sort();

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
    const parts = [common, chat, rag, models, serving, jobs, roadmap, settings];
    const count = parts.flatMap((part) => Object.keys(part)).length;
    expect(Object.keys(strings)).toHaveLength(count);
  });
});

describe("keys", () => {
  it("are all used", () => {
    const sources = import.meta.glob<string>("/src/**/*.{ts,tsx}", { query: "?raw", import: "default", eager: true });
    const code = Object.entries(sources)
      .filter(([path]) => !path.includes("/i18n/"))
      .map(([, text]) => text)
      .join("\n");
    const families = [...code.matchAll(/`([\w.]+\.)\$\{/g)].map((match) => match[1] ?? "");
    const isUsed = (key: string) => code.includes(`"${key}"`) || families.some((family) => key.startsWith(family));
    expect(Object.keys(strings).filter((key) => !isUsed(key))).toEqual([]);
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
