import { describe, expect, it } from "vitest";
import { snippet } from "./snippet";

const filler = "The office opens at eight and closes at six. ".repeat(20);
const said = (text: string, query: string, size?: number) =>
  snippet(text, query, size)
    .map(({ text }) => text)
    .join("");
const hits = (text: string, query: string) =>
  snippet(text, query)
    .filter(({ hit }) => hit)
    .map(({ text }) => text);

describe("snippet", () => {
  it("shows the hit and not the passage's beginning", () => {
    const text = `${filler}Every employee has 25 days of annual leave. ${filler}`;
    const shown = said(text, "How much annual leave?");
    expect(shown).toContain("25 days of annual leave");
    expect(shown.startsWith("… ") && shown.endsWith(" …")).toBe(true);
    expect(shown.length).toBeLessThan(300);
    expect(hits(text, "How much annual leave?")).toEqual(["annual", "leave"]);
  });

  it("finds Chinese, which has no spaces", () => {
    const text = `${"办公室八点开门，六点关门。".repeat(40)}本产品自购买之日起提供三年保修服务。`;
    expect(said(text, "保修几年？")).toContain("三年保修服务");
    expect(hits(text, "保修几年？")).toEqual(["保修"]);
    expect(hits(text, "三年保修")).toEqual(["三年保修"]);
  });

  it("takes the place that holds most of what was asked", () => {
    const text = `leave the building. ${filler}annual leave is 25 days. ${filler}`;
    expect(said(text, "annual leave days")).toContain("annual leave is 25 days");
  });

  it("takes names with marks as they are, and what a pattern would misread", () => {
    expect(hits("Order FX-74-B/3 now, or (a+b)* later", "FX-74-B/3")).toEqual(["FX-74-B/3"]);
    expect(hits("What is C++ (a+b)?", "(a+b)* [x] C:\\")).toEqual([]);
  });

  it("leaves a short passage whole and shows the beginning where no word stands in it", () => {
    expect(snippet("Short.", "nothing")).toEqual([{ text: "Short.", hit: false }]);
    expect(said(filler, "纯粹语义", 40)).toBe(`${filler.slice(0, 40)} …`);
  });

  it("loses no character of the window, whatever is asked", () => {
    const text = "ab年假cd annual leave 年 25 days leave".repeat(9);
    for (const query of ["年假", "leave 25", "ab年假cd", "annual annual", "年", ""]) {
      expect(text).toContain(said(text, query).replace(/^… | …$/g, ""));
    }
  });
});
