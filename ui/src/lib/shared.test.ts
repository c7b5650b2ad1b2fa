import { describe, expect, it } from "vitest";
import { readAs } from "./shared";

describe("readAs", () => {
  it("takes from a link only what is of the right kind", () => {
    expect(readAs(null, 3)).toBe(3);
    expect(readAs("7", 3)).toBe(7);
    expect(readAs("seven", 3)).toBe(3);
    expect(readAs("", 3)).toBe(3);
    expect(readAs("0", true)).toBe(false);
    expect(readAs("你好", "")).toBe("你好");
  });
});
