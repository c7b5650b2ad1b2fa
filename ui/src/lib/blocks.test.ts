import { describe, expect, it } from "vitest";
import { blocksOf } from "./blocks";

const joined = (blocks: { text: string }[]) => blocks.map(({ text }) => text).join("");

describe("blocksOf", () => {
  it("cuts at pages and headings and loses nothing", () => {
    const text = "page one\nmore\npage two\nend";
    const blocks = blocksOf(
      text,
      [
        { page: 1, start: 0 },
        { page: 2, start: 14 },
      ],
      [9],
    );
    expect(blocks.map(({ start, page, heading }) => [start, page, heading])).toEqual([
      [0, 1, false],
      [9, null, true],
      [14, 2, false],
    ]);
    expect(joined(blocks)).toBe(text);
  });
  it("cuts long stretches at line ends, and hard where there is none", () => {
    expect(blocksOf("aa\nbb\ncc\n", [], [], 6).map(({ text }) => text)).toEqual(["aa\nbb\n", "cc\n"]);
    expect(blocksOf("x".repeat(10), [], [], 4).map(({ text }) => text.length)).toEqual([4, 4, 2]);
    expect(blocksOf("", [], [])).toEqual([]);
  });
  it("names no page where there is only one", () => {
    expect(blocksOf("abc", [{ page: 1, start: 0 }], [])).toEqual([
      { start: 0, text: "abc", page: null, heading: false },
    ]);
  });
});
