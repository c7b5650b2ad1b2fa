import type { Citation } from "@/lib/types";

/** The address of a place in a document of a desk; offsets in code points. */
export function placeHref(kb: string, doc: string, start: number, end: number, quote?: [number, number]): string {
  const query = new URLSearchParams({ doc, start: String(start), end: String(end) });
  if (quote) query.set("quote", quote.join("-"));
  return `/docqa/${kb}?${query}`;
}

export function citationHref({ kb_id, doc_id, start, end, quote_start, quote_end }: Citation): string {
  const quote: [number, number] | undefined =
    quote_start != null && quote_end != null ? [quote_start, quote_end] : undefined;
  return placeHref(kb_id, doc_id, start, end, quote);
}
