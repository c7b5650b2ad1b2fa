import { describe, expect, it } from "vitest";
import { hasMath, normalMath } from "./math";

describe("normalMath", () => {
  it("turns every way to write a formula into one", () => {
    expect(normalMath("so \\(a^2\\) and $x_1$")).toBe("so $$a^2$$ and $$x_1$$");
    expect(normalMath("\\[\na = b\n\\]")).toBe("\n$$\na = b\n$$\n");
  });
  it("leaves prices and code alone", () => {
    for (const text of ["costs $5 or $6", "a `\\(x\\)` b", "```\n$x_1$\n```", "US$100 = HK$780"]) {
      expect(normalMath(text)).toBe(text);
    }
  });
  it("knows where there is none", () => {
    expect(hasMath("costs $5")).toBe(false);
    expect(hasMath("`$$x$$`")).toBe(false);
    expect(hasMath(normalMath("\\(x\\)"))).toBe(true);
  });
});
