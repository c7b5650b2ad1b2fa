import { describe, expect, it } from "vitest";
import { pieces, toUnits } from "./codepoints";

describe("toUnits", () => {
  it("is the same count without astral characters", () => {
    expect(toUnits("指路 zhilu", [0, 2, 99])).toEqual([0, 2, 8]);
  });
  it("counts an astral character once, in any order", () => {
    const text = "a𠮷b😀c";
    expect(toUnits(text, [5, 0, 2, 3, 4])).toEqual([7, 0, 3, 4, 6]);
    expect(text.slice(...(toUnits(text, [2, 3]) as [number, number]))).toBe("b");
    expect(toUnits(text, [50])).toEqual([7]);
  });
});

describe("pieces", () => {
  it("cuts at the passage and at the quote within it", () => {
    expect(pieces("abcdef", [1, 5], [2, 3])).toEqual([
      { text: "a", passage: false, quote: false },
      { text: "b", passage: true, quote: false },
      { text: "c", passage: true, quote: true },
      { text: "de", passage: true, quote: false },
      { text: "f", passage: false, quote: false },
    ]);
  });
  it("bears ranges beyond the text and none at all", () => {
    expect(pieces("abc", [1, 99], null).map(({ text }) => text)).toEqual(["a", "bc"]);
    expect(pieces("abc", null, null)).toEqual([{ text: "abc", passage: false, quote: false }]);
    expect(pieces("", null, null)).toEqual([]);
  });
});
