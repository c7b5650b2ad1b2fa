// The wire: POST /v1/chat/completions with stream: true, read as server-sent events. Nothing here knows of React.

export interface Message {
  role: "system" | "user" | "assistant";
  content: string;
}

/** What went wrong, in the server's own words where it gave any. */
export class ChatError extends Error {}

async function said(response: Response): Promise<string> {
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

/** The answer, piece by piece. Ends when the model does; aborting the signal stops the model too. */
export async function* streamChat(model: string, messages: Message[], signal: AbortSignal): AsyncGenerator<string> {
  const response = await fetch("/v1/chat/completions", {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ model, messages, max_tokens: 512, stream: true }),
    signal,
  });
  if (!response.ok) throw new ChatError(await said(response));
  for await (const data of events(response.body!)) {
    if (data === "[DONE]") return;
    const chunk = JSON.parse(data) as {
      error?: { message: string }; // an error after the first byte comes as an event
      choices?: { delta?: { content?: string | null } }[];
    };
    if (chunk.error) throw new ChatError(chunk.error.message);
    const piece = chunk.choices?.[0]?.delta?.content;
    if (piece) yield piece;
  }
  throw new ChatError("The answer broke off.");
}

/** The data of each event. Network packets end anywhere: inside a line, inside a Chinese character. */
async function* events(body: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const reader = body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let held = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      held += value;
      const lines = held.split(/\r?\n/);
      held = lines.pop()!;
      for (const line of lines) if (line.startsWith("data:")) yield line.slice(5).trim();
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
