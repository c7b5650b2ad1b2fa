/** Server-sent events over fetch: EventSource can neither POST nor carry a key. */

export interface ServerEvent {
  event: string;
  data: string;
}

/** Cuts a stream of text into events by the WHATWG grammar; feed it chunks as they arrive, however they are cut. */
export class EventParser {
  private rest = "";
  private event = "";
  private data: string[] = [];

  push(chunk: string): ServerEvent[] {
    const out: ServerEvent[] = [];
    this.rest += chunk;
    // A CR at the very end may be half of a CRLF: wait for what follows it.
    const lines = this.rest.split(/\r\n|\n|\r(?=[^\n])/);
    this.rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (this.data.length) out.push({ event: this.event || "message", data: this.data.join("\n") });
        this.event = "";
        this.data = [];
        continue;
      }
      if (line.startsWith(":")) continue;
      const colon = line.indexOf(":");
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
      if (field === "data") this.data.push(value);
      else if (field === "event") this.event = value;
    }
    return out;
  }
}

/** The events of a response's body, until it ends or is aborted (then the reader's AbortError is thrown). */
export async function* readEvents(response: Response): AsyncGenerator<ServerEvent> {
  if (!response.body) return;
  const parser = new EventParser();
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.push(value);
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
