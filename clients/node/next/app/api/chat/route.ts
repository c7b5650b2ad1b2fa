// A conversation comes in, the AI SDK's stream of message parts goes out. Whoever closes the page stops the model.
import { convertToModelMessages, stepCountIs, streamText, tool, type UIMessage } from "ai";
import { z } from "zod";
import { passages } from "../../knowledge";
import { model } from "../../zhilu";

const RULES = "Answer in the language of the question, briefly.";
const ENOUGH = "Now answer in a sentence, in the language of the question, from what the functions have told.";
const MOST = 20_000; // characters of a conversation
const ORDERS = new Map([
  ["1001", "shipped on Monday, arrives on Thursday"],
  ["1002", "being packed"],
]);

// What the model may call. Your own service would stand here: a database, another API.
const tools = {
  order_status: tool({
    description: "Where an order is, by its number",
    inputSchema: z.object({ number: z.string().describe("The number of the order") }),
    execute: ({ number }) => ORDERS.get(number.trim()) ?? "There is no order of this number.",
  }),
};

const Asked = z.object({
  messages: z.array(z.object({ role: z.enum(["user", "assistant"]), parts: z.array(z.any()) }).loose()).min(1),
  knowledgeBase: z.string().max(200).optional(),
});

export async function POST(request: Request) {
  const asked = Asked.safeParse(await request.json().catch(() => null));
  if (!asked.success) return Response.json({ error: { message: "This is no conversation." } }, { status: 400 });
  const messages = asked.data.messages as unknown as UIMessage[];
  const question = textOf(messages.at(-1)!);
  if (!question.trim()) return Response.json({ error: { message: "The question is empty." } }, { status: 400 });
  if (JSON.stringify(messages).length > MOST) return Response.json({ error: { message: "It is too long." } }, { status: 413 });
  const base = asked.data.knowledgeBase;
  const result = streamText({
    model,
    system: base ? `${RULES}\n\n${await grounds(base, question)}` : RULES,
    messages: await convertToModelMessages(messages),
    tools: base ? undefined : tools,
    stopWhen: stepCountIs(4), // of calls before an answer: a small model may call without end
    // Small models like to call again what they have called: where nothing new came of it, the answer has to come in words.
    prepareStep: ({ steps, stepNumber, messages }) => {
      const [before, last] = steps.slice(-2).map(({ toolResults }) => JSON.stringify(toolResults.map(({ output }) => output)));
      if (stepNumber < 3 && (last === undefined || before !== last)) return {};
      return { toolChoice: "none", messages: [...messages, { role: "user", content: ENOUGH }] };
    },
    maxOutputTokens: 512,
    temperature: 0,
    maxRetries: 0,
    abortSignal: request.signal,
  });
  return result.toUIMessageStreamResponse({ onError: (error) => (error instanceof Error ? error.message : String(error)) });
}

function textOf(message: UIMessage): string {
  return message.parts.map((part) => (part.type === "text" ? part.text : "")).join("");
}

async function grounds(base: string, question: string): Promise<string> {
  const found = await passages(base, question);
  const numbered = found.map(({ doc_name, text }, index) => `[${index + 1}] ${doc_name}: ${text}`).join("\n\n");
  return `Answer only from these passages, with their numbers; say so where they do not tell.\n\n${numbered}`;
}
