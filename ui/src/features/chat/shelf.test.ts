import { describe, expect, it } from "vitest";
import { filled, placesOf } from "./shelf";

describe("a saved prompt", () => {
  it("has the places between double braces, as the prompt lab has them", () => {
    expect(placesOf("Into {{lang}}: {{ text }} {{lang}} {a} {{1x}} {{文字}}")).toEqual(["lang", "text", "文字"]);
  });

  it("is filled; what has no value stays", () => {
    expect(filled("{{a}} and {{ b }}", { a: "$& x" })).toBe("$& x and {{ b }}");
  });
});
