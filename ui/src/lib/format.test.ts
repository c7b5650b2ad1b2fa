import { describe, expect, it } from "vitest";
import { ago, bytes, count, figure, seconds } from "./format";

describe("format", () => {
  it("says sizes", () => {
    expect([0, 1500, 10_000_000, null].map(bytes)).toEqual(["0 B", "1.5 KB", "10 MB", "–"]);
    expect([900, 29_300_000, 7.6e9].map(count)).toEqual(["900", "29.3M", "7.6B"]);
  });
  it("says durations", () => {
    expect([0.0042, 0.42, 3.14, 59, 185, 7800].map(seconds)).toEqual([
      "0.0042 s",
      "0.42 s",
      "3.1 s",
      "59 s",
      "3 min 05 s",
      "2 h 10 min",
    ]);
  });
  it("says how long ago", () => {
    const now = Date.parse("2026-01-10T12:00:00Z");
    expect(ago("2026-01-10T11:57:00Z", "en", now)).toBe("3 minutes ago");
    expect(ago("2026-01-09T12:00:00Z", "zh", now)).toBe("昨天");
    expect(ago("nonsense", "en", now)).toBe("");
  });
  it("keeps figures short", () => {
    expect(figure(0.123456, "en")).toBe("0.1235");
    expect(figure(12345, "en")).toBe("12,345");
    expect(figure("cpu", "en")).toBe("cpu");
  });
});
