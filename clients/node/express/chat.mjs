// The conversation with the model: its stream, the functions it may call, passages of a knowledge base.
import OpenAI from "openai";

const URL_ = process.env.ZHILU_URL ?? "http://127.0.0.1:8642/v1";
const KEY = process.env.ZHILU_API_KEY ?? "not-needed"; // the library insists on one
const RULES = "Answer in the language of the question, briefly.";
const ENOUGH = "Now answer in a sentence, in the language of the question, from what the functions have told.";
const MOST_ROUNDS = 4; // of calls before an answer: a small model may call without end

export const model = process.env.ZHILU_MODEL ?? "zhilu-nano";
const client = new OpenAI({ baseURL: URL_, apiKey: KEY, maxRetries: 0 });

// What the model may call. Your own service would stand here: a database, another API.
const ORDERS = { 1001: "shipped on Monday, arrives on Thursday", 1002: "being packed" };
const FUNCTIONS = {
  order_status: ({ number }) => ORDERS[String(number).trim()] ?? "There is no order of this number.",
};
const TOOLS = [
  {
    type: "function",
    function: {
      name: "order_status",
      description: "Where an order is, by its number",
      parameters: {
        type: "object",
        properties: { number: { type: "string", description: "The number of the order" } },
        required: ["number"],
      },
    },
  },
];

/**
 * What there is to tell of an answer, as it comes: {sources}, {text} for each piece, {tool, given, result} for each call.
 * Aborting the signal stops the model.
 */
export async function* answer(turns, knowledgeBase, signal) {
  const messages = [{ role: "system", content: RULES }, ...turns];
  if (knowledgeBase) {
    const passages = await search(knowledgeBase, turns.at(-1).content, signal);
    yield { sources: passages.map(({ doc_name, text }, index) => ({ n: index + 1, name: doc_name, text })) };
    messages.splice(-1, 1, { role: "user", content: grounded(turns.at(-1).content, passages) });
  }
  const known = new Set();
  let choice = "auto";
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const stream = await client.chat.completions.create(
      { model, messages, max_tokens: 512, temperature: 0, stream: true, ...(knowledgeBase ? {} : { tools: TOOLS, tool_choice: choice }) },
      { signal },
    );
    const calls = [];
    let said = "";
    for await (const { choices } of stream) {
      const delta = choices[0]?.delta;
      for (const piece of delta?.tool_calls ?? []) gather(calls, piece);
      if (delta?.content) {
        said += delta.content;
        yield { text: delta.content };
      }
    }
    if (!calls.length) return;
    messages.push({ role: "assistant", content: said, tool_calls: calls });
    for (const { id, function: f } of calls) {
      const result = run(f.name, f.arguments);
      messages.push({ role: "tool", tool_call_id: id, content: result });
      yield { tool: f.name, given: f.arguments, result };
    }
    // Small models like to call again what they have called: where nothing new came of it, the answer has to come in words.
    const results = messages.slice(-calls.length).map(({ content }) => content);
    if (results.every((result) => known.has(result)) || round === MOST_ROUNDS - 2) {
      choice = "none";
      messages.push({ role: "user", content: ENOUGH });
    }
    for (const result of results) known.add(result);
  }
}

/** A call comes in pieces: its name first, then its arguments, a few letters at a time. */
function gather(calls, { index, id, function: f }) {
  const call = (calls[index] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
  call.id ||= id ?? "";
  call.function.name += f?.name ?? "";
  call.function.arguments += f?.arguments ?? "";
}

/** Whatever goes wrong is told to the model, which may try otherwise. */
function run(name, written) {
  try {
    if (!Object.hasOwn(FUNCTIONS, name)) return `There is no function ${name}.`;
    return FUNCTIONS[name](JSON.parse(written || "{}"));
  } catch (error) {
    return `Error: ${error.message}`;
  }
}

// ---- Zhilu's knowledge bases: read, split and embedded there, found by meaning and by words

const KBS = `${URL_.replace(/\/v1\/?$/, "")}/zhilu/v1/kbs`;
const HEADERS = { Authorization: `Bearer ${KEY}`, "Content-Type": "application/json" };

async function asked(path, given) {
  const response = await fetch(KBS + path, { headers: HEADERS, ...given });
  const told = await response.json();
  if (!response.ok) throw new Error(told.error?.message ?? `HTTP ${response.status}`);
  return told;
}

export async function knowledgeBases() {
  return (await asked("")).map(({ name }) => name);
}

async function search(name, query, signal) {
  const base = (await asked("", { signal })).find((one) => one.name === name || one.id === name);
  if (!base) throw new Error(`There is no knowledge base called ${name}.`);
  const body = JSON.stringify({ query, k: 4 });
  return (await asked(`/${base.id}/search`, { method: "POST", body, signal })).hits;
}

function grounded(question, passages) {
  const numbered = passages.map(({ text }, index) => `[${index + 1}] ${text}`).join("\n\n");
  const rule = "Answer in a sentence from these passages only, with the number of the passage behind it; say so where they do not tell.";
  return `${numbered}\n\n${rule}\nQuestion: ${question}`;
}
