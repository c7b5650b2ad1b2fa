import { describe, expect, it } from "vitest";
import { clock } from "./clock";
import { troubleOf } from "@/lib/recorder";
import { labelOf } from "./voices";
import { wordsOf } from "./words";

describe("clock", () => {
  it("shows times as a player does", () => {
    expect([0, 7.9, 59.99, 60, 750, 3723].map(clock)).toEqual(["0:00", "0:07", "0:59", "1:00", "12:30", "1:02:03"]);
  });
});

describe("the microphone", () => {
  it("says what its refusals mean", () => {
    const named = (name: string) => troubleOf(new DOMException("", name));
    expect(["NotAllowedError", "NotFoundError", "NotReadableError", "TypeError"].map(named)).toEqual([
      "refused",
      "none",
      "busy",
      "failed",
    ]);
    expect(troubleOf(null)).toBe("failed");
  });
});

describe("voices", () => {
  it("are told by Kokoro's names, others as they are", () => {
    const t = (key: "media.woman" | "media.man") => key;
    expect(labelOf("jf_alpha", "en", t)).toBe("alpha (Japanese, media.woman)");
    expect(labelOf("zm_yunxi", "zh", t)).toBe("yunxi（中文，media.man）");
    expect(labelOf("alice", "en", t)).toBe("alice");
    expect(labelOf("xf_unknown", "en", t)).toBe("xf_unknown");
  });
});

describe("words", () => {
  const words = (...all: string[]) => all.map((word) => ({ word, start: 0, end: 1 }));

  it("take the marks of the text", () => {
    expect(wordsOf({ text: "很好，我们走", words: words("很好,", "我们", "走") })).toEqual(["很好，", "我们", "走"]);
    expect(wordsOf({ text: " The door.", words: words(" The", " door.") })).toEqual(["The", " door."]);
  });

  it("stay as they are where the text is another", () => {
    expect(wordsOf({ text: "门。", words: words(" The", " door") })).toEqual(["The", " door"]);
  });
});
