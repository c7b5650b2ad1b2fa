import { describe, expect, it } from "vitest";
import type { Citation } from "@/lib/types";
import { citationHref, placeHref } from "./places";

const citation = { kb_id: "k", doc_id: "d", start: 3, end: 40, quote_start: 5, quote_end: 9 } as Citation;
const query = (href: string) => Object.fromEntries(new URL(href, "http://x").searchParams);

describe("places", () => {
  it("lead into the document beside the answer, with the answer's own words", () => {
    expect(citationHref(citation).startsWith("/docqa/k?")).toBe(true);
    expect(query(citationHref(citation))).toEqual({ doc: "d", start: "3", end: "40", quote: "5-9" });
  });

  it("do without words of its own, also at the beginning of a text", () => {
    expect(query(citationHref({ ...citation, quote_start: null }))).toEqual({ doc: "d", start: "3", end: "40" });
    expect(query(placeHref("k", "d", 0, 2, [0, 2])).quote).toBe("0-2");
  });
});
