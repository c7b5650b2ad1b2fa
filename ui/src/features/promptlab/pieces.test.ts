import { describe, expect, it } from "vitest";
import { pieces, readExpected, shownExpected, variables } from "./pieces";

describe("a prompt's variables", () => {
  it("are found in their order, each once", () => {
    expect(variables("For {{who}}", "{{ q }} {{who}} {a} {{1x}} {{问题}}")).toEqual(["who", "q", "问题"]);
  });
  it("are cut out, and nothing is lost", () => {
    const text = 'a {{b}}{{c}} {"d": 1} {{ e';
    expect(
      pieces(text)
        .map((piece) => piece.text)
        .join(""),
    ).toBe(text);
    expect(pieces(text).filter((piece) => piece.isVariable)).toHaveLength(2);
  });
});

describe("what is expected", () => {
  it("comes back as it was", () => {
    for (const [expected, grader] of [
      ["refund", "exact"],
      [{ a: 1 }, "json"],
      [["a", "b"], "contains"],
      ["[a]", "regex"],
    ] as const)
      expect(readExpected(shownExpected(expected), grader)).toEqual(expected);
  });
  it("stays a text while it is half typed", () => expect(readExpected('{"a":', "json")).toBe('{"a":'));
});
