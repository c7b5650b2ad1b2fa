import { describe, expect, it } from "vitest";
import { EventParser, readEvents, type ServerEvent } from "./sse";

const parse = (...chunks: string[]): ServerEvent[] => {
  const parser = new EventParser();
  return chunks.flatMap((chunk) => parser.push(chunk));
};

describe("EventParser", () => {
  it("reads an event and its data", () => {
    expect(parse('event: delta\ndata: {"text":"你"}\n\n')).toEqual([{ event: "delta", data: '{"text":"你"}' }]);
  });

  it("does not care where chunks are cut, a CRLF included", () => {
    const whole = "event: a\r\ndata: 1\r\n\r\n: ping\r\n\r\nevent: b\r\ndata: 2\r\ndata: 3\r\n\r\n";
    const expected = [
      { event: "a", data: "1" },
      { event: "b", data: "2\n3" },
    ];
    for (let cut = 0; cut <= whole.length; cut++) {
      expect(parse(whole.slice(0, cut), whole.slice(cut))).toEqual(expected);
    }
    expect(parse(...whole)).toEqual(expected);
  });

  it("names an event without a name `message` and drops one without data", () => {
    expect(parse("event: nothing\n\ndata:x\n\n")).toEqual([{ event: "message", data: "x" }]);
  });

  it("keeps an unfinished event back", () => {
    expect(parse("event: delta\ndata: {")).toEqual([]);
  });
});

describe("readEvents", () => {
  it("decodes characters cut in the middle of their bytes", async () => {
    const bytes = new TextEncoder().encode("data: 指路\n\n");
    const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
      start(controller) {
        for (const byte of bytes) controller.enqueue(new Uint8Array([byte]));
        controller.close();
      },
    });
    const events = [];
    for await (const event of readEvents(new Response(body))) events.push(event);
    expect(events).toEqual([{ event: "message", data: "指路" }]);
  });
});
