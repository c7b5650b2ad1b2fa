// One request to our own back end, its server-sent events.

export interface Turn {
  role: "user" | "assistant";
  content: string;
}

export interface Told {
  text?: string;
  tool?: string;
  given?: string;
  result?: string;
  sources?: { n: number; name: string; text: string }[];
}

export async function* ask(messages: Turn[], knowledgeBase: string, signal: AbortSignal): AsyncGenerator<Told> {
  const body = JSON.stringify({ messages, ...(knowledgeBase && { knowledgeBase }) });
  const headers = { "Content-Type": "application/json" };
  const response = await fetch("/api/chat", { method: "POST", headers, body, signal });
  if (!response.ok) throw new Error((await response.json().catch(() => null))?.error?.message ?? `HTTP ${response.status}`);
  const reader = response.body!.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>).getReader();
  let held = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("The answer broke off.");
    held += value;
    const lines = held.split(/\r?\n/); // network packets end anywhere
    held = lines.pop()!;
    for (const line of lines) {
      if (!line.startsWith("data:")) continue;
      const data = line.slice(5).trim();
      if (data === "[DONE]") return;
      const told = JSON.parse(data) as Told & { error?: { message: string } };
      if (told.error) throw new Error(told.error.message);
      yield told;
    }
  }
}
