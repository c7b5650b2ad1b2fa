import { describe, expect, it } from "vitest";
import { plainPassage } from "./plain";

describe("plainPassage", () => {
  it("drops headings and marks", () => {
    expect(plainPassage("## Leave\n\nEvery **employee** has `25` days.\n\nMore.")).toBe(
      "Every employee has 25 days.\nMore.",
    );
  });
  it("keeps a passage that is nothing but a heading", () => {
    expect(plainPassage("# Title")).toBe("Title");
  });
});
