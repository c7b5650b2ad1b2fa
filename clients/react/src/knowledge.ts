// Zhilu's own: answers from a knowledge base, with the passages that they come from. Another server has no such address, and the
// page then shows no choice.
import { ChatError, events, said } from "./stream";

export interface KnowledgeBase {
  id: string;
  name: string;
}

/** A passage that the answer may come from; the answer names it as [n]. */
export interface Source {
  n: number;
  doc_name: string;
  page: number | null;
  text: string;
  cited: boolean;
}

export interface Past {
  role: "user" | "assistant";
  content: string;
}

export async function knowledgeBases(signal: AbortSignal): Promise<KnowledgeBase[]> {
  const models = await fetch("/v1/models", { signal });
  const { data } = (await models.json()) as { data: { owned_by?: string }[] };
  if (!data.some(({ owned_by }) => owned_by === "zhilu")) return []; // another server is not asked for what it has not
  const response = await fetch("/zhilu/v1/kbs", { signal });
  const isOurs = response.ok && response.headers.get("content-type")?.includes("json");
  return isOurs ? ((await response.json()) as KnowledgeBase[]) : [];
}

interface Asked {
  passages?: Source[];
  text?: string;
  answer?: string;
  citations?: Source[];
  error?: { message: string };
}

/** The answer as it stands after each piece, with its sources; the last one is what holds. */
export async function* askKnowledge(
  kb: string,
  model: string,
  question: string,
  history: Past[],
  signal: AbortSignal,
): AsyncGenerator<{ text: string; sources: Source[] }> {
  const response = await fetch(`/zhilu/v1/kbs/${encodeURIComponent(kb)}/ask`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ question, model, history }),
    signal,
  });
  if (!response.ok) throw new ChatError(await said(response));
  let text = "";
  let sources: Source[] = [];
  for await (const { event, data } of events(response.body!)) {
    const told = JSON.parse(data) as Asked;
    if (event === "error") throw new ChatError(told.error!.message);
    if (event === "retrieved") sources = told.passages ?? [];
    if (event === "delta") yield { text: (text += told.text), sources };
    if (event === "done") {
      yield { text: told.answer!, sources: (told.citations ?? []).filter(({ cited }) => cited) };
      return;
    }
  }
  throw new ChatError("The answer broke off.");
}
