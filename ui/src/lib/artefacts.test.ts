import { describe, expect, it } from "vitest";
import { artefactOf, byCell, csvOf, fileOf } from "./artefacts";

describe("artefacts", () => {
  it("are known by their language, or by their schema", () => {
    expect(artefactOf("mermaid", "graph TD")).toBe("mermaid");
    expect(artefactOf("json", '{"$schema": "https://vega.github.io/schema/vega-lite/v6.json"}')).toBe("vega");
    expect(artefactOf("json", '{"a": 1}')).toBeNull();
    expect(artefactOf("html", "<p>")).toBe("page");
    expect(artefactOf(undefined, "graph TD")).toBeNull();
  });

  it("have the file's ending", () => {
    expect([fileOf("python"), fileOf("html"), fileOf(undefined), fileOf("../x")]).toEqual([
      "code.py",
      "code.html",
      "code.txt",
      "code.txt",
    ]);
  });

  it("are CSV that no spreadsheet runs", () => {
    expect(
      csvOf([
        ["a", "b,c"],
        ['say "hi"', "=1+1"],
        ["-3", "-x"],
      ]),
    ).toBe('a,"b,c"\r\n"say ""hi""",\'=1+1\r\n-3,\'-x\r\n');
  });

  it("sort numbers by size", () => {
    expect(["10", "9", "$1,200", "5%"].sort(byCell)).toEqual(["5%", "9", "10", "$1,200"]);
    expect(["b", "a"].sort(byCell)).toEqual(["a", "b"]);
  });
});
