import { describe, expect, it } from "vitest";
import { citeMarks } from "./citeMarks";

const run = (children: unknown[], known: number[]) => {
  const tree = { type: "root", children };
  citeMarks(new Set(known))(tree);
  return tree.children;
};

describe("citeMarks", () => {
  it("turns known numbers into cite elements and swallows the space before", () => {
    expect(run([{ type: "text", value: "On 3 May [1][2]." }], [1, 2])).toEqual([
      { type: "text", value: "On 3 May" },
      { type: "cite", data: { hName: "cite", hProperties: { n: "1" } }, children: [] },
      { type: "cite", data: { hName: "cite", hProperties: { n: "2" } }, children: [] },
      { type: "text", value: "." },
    ]);
  });
  it("leaves numbers that name no passage, and code", () => {
    const code = { type: "inlineCode", value: "a[1]" };
    expect(run([{ type: "text", value: "see [7]" }, code], [1])).toEqual([{ type: "text", value: "see [7]" }, code]);
  });
});
