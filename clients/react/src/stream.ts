// The wire: POST /v1/chat/completions with stream: true, read as server-sent events. Nothing here knows of React or of a page.

export type Part = { type: "text"; text: string } | { type: "image_url"; image_url: { url: string } };

export interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

export type Message =
  | { role: "system"; content: string }
  | { role: "user"; content: string | Part[] }
  | { role: "assistant"; content: string; tool_calls?: ToolCall[] }
  | { role: "tool"; tool_call_id: string; content: string };

/** What went wrong, in the server's own words where it gave any. */
export class ChatError extends Error {}

export async function said(response: Response): Promise<string> {
  const text = await response.text();
  try {
    return (JSON.parse(text) as { error: { message: string } }).error.message;
  } catch {
    return text || `HTTP ${response.status}`;
  }
}

/** The first model of the server that writes text: embedders have no context length. */
export async function firstModel(signal: AbortSignal): Promise<string> {
  const response = await fetch("/v1/models", { signal });
  if (!response.ok) throw new ChatError(await said(response));
  const { data } = (await response.json()) as { data: { id: string; max_model_len?: number }[] };
  const model = data.find((entry) => entry.max_model_len) ?? data[0];
  if (!model) throw new ChatError("The server has no model.");
  return model.id;
}

interface Chunk {
  error?: { message: string }; // an error after the first byte comes as an event
  choices?: { delta?: { content?: string | null; tool_calls?: CallPiece[] } }[];
}

interface CallPiece {
  index: number;
  id?: string;
  function?: { name?: string; arguments?: string };
}

/**
 * The answer, piece by piece; at the end, the calls of functions that the model asks for. Ends when the model does; aborting the
 * signal stops the model too.
 */
export async function* streamChat(
  model: string,
  messages: Message[],
  signal: AbortSignal,
  tools: object[] = [],
): AsyncGenerator<string, ToolCall[]> {
  const offered = tools.length ? { tools } : {};
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model, messages, max_tokens: 512, stream: true, ...offered }),
    signal,
  });
  if (!response.ok) throw new ChatError(await said(response));
  const calls: ToolCall[] = [];
  for await (const { data } of events(response.body!)) {
    if (data === "[DONE]") return calls.filter(Boolean);
    const chunk = JSON.parse(data) as Chunk;
    if (chunk.error) throw new ChatError(chunk.error.message);
    const delta = chunk.choices?.[0]?.delta;
    // A call comes in pieces as well: its name first, then its arguments, a few letters at a time.
    for (const piece of delta?.tool_calls ?? []) {
      const call = (calls[piece.index] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
      call.id ||= piece.id ?? "";
      call.function.name += piece.function?.name ?? "";
      call.function.arguments += piece.function?.arguments ?? "";
    }
    if (delta?.content) yield delta.content;
  }
  throw new ChatError("The answer broke off.");
}

/** Each event's name (empty: none given) and data. Network packets end anywhere: inside a line, inside a Chinese character. */
export async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<{ event: string; data: string }> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let held = "";
  let event = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      held += value;
      const lines = held.split(/\r?\n/);
      held = lines.pop()!;
      for (const line of lines) {
        if (line.startsWith("event:")) event = line.slice(6).trim();
        else if (line.startsWith("data:")) yield { event, data: line.slice(5).trim() };
        else if (!line) event = "";
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
