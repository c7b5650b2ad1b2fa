/** What the playground asks for: the form's state, and the one request that it stands for. */
import { toolProblems, schemaProblems, parseJson, type Problem } from "./validate";

export type Role = "user" | "assistant" | "tool" | "developer";
export const ROLES: readonly Role[] = ["user", "assistant", "tool", "developer"];

export interface ToolCall {
  id: string;
  type: "function";
  function: { name: string; arguments: string };
}

export interface Turn {
  role: Role;
  content: string;
  tool_calls?: ToolCall[];
  tool_call_id?: string;
}

/** A number of the request. `low` and `high` are the API's bounds, `slider` the part of them that a handle covers. */
export interface Knob {
  key: string;
  low: number;
  high: number;
  step: number;
  slider?: readonly [number, number];
  /** Where the handle stands while nothing is chosen. */
  rest: number;
}

export const SAMPLING: readonly Knob[] = [
  { key: "temperature", low: 0, high: 2, step: 0.05, slider: [0, 2], rest: 0.7 },
  { key: "top_p", low: 0.01, high: 1, step: 0.01, slider: [0.01, 1], rest: 1 },
  { key: "top_k", low: -1, high: 1_000_000, step: 1, slider: [0, 100], rest: 0 },
  { key: "min_p", low: 0, high: 1, step: 0.01, slider: [0, 1], rest: 0 },
  { key: "presence_penalty", low: -2, high: 2, step: 0.1, slider: [-2, 2], rest: 0 },
  { key: "frequency_penalty", low: -2, high: 2, step: 0.1, slider: [-2, 2], rest: 0 },
  { key: "repetition_penalty", low: 0.01, high: 100, step: 0.01, slider: [0.5, 2], rest: 1 },
];
export const LENGTH: readonly Knob[] = [
  { key: "max_tokens", low: 1, high: 1_000_000, step: 1, slider: [1, 2048], rest: 256 },
  { key: "n", low: 1, high: 64, step: 1, slider: [1, 8], rest: 1 },
  { key: "seed", low: -Number.MAX_SAFE_INTEGER, high: Number.MAX_SAFE_INTEGER, step: 1, rest: 0 },
];
export const MOST_ALTERNATIVES = 20;
export const MOST_STOPS = 16;

export type Format = "text" | "json_object" | "json_schema";
export type ToolChoice = "auto" | "none" | "required";

export interface Draft {
  /** The models asked; the first one where only one answers. Empty: the product's default. */
  models: string[];
  system: string;
  turns: Turn[];
  /** Numbers by the API's name; what is left out is the model's own choice. */
  numbers: Record<string, number>;
  stops: string[];
  logprobs: boolean;
  alternatives: number;
  tools: string;
  toolChoice: ToolChoice;
  format: Format;
  schema: string;
  stream: boolean;
}

export const FRESH: Draft = {
  models: [],
  system: "",
  turns: [{ role: "user", content: "" }],
  numbers: {},
  stops: [],
  logprobs: false,
  alternatives: 5,
  tools: "",
  toolChoice: "auto",
  format: "text",
  schema: "",
  stream: true,
};

export type Body = Record<string, unknown>;

/** The request that a draft stands for, and what must be mended before it can be sent. */
export function requestOf(draft: Draft, model: string): { body: Body; problems: Problem[] } {
  const problems: Problem[] = [];
  const messages: Body[] = draft.system.trim() ? [{ role: "system", content: draft.system }] : [];
  messages.push(...draft.turns.map(messageOf));
  const body: Body = { model, messages };
  if (draft.turns.every(({ content, tool_calls }) => !content.trim() && !tool_calls)) {
    problems.push({ field: "messages", key: "play.needMessage" });
  }
  for (const { key } of [...SAMPLING, ...LENGTH]) if (draft.numbers[key] !== undefined) body[key] = draft.numbers[key];
  const stops = draft.stops.filter((text) => text !== "");
  if (stops.length) body.stop = stops;
  if (draft.logprobs) Object.assign(body, { logprobs: true, top_logprobs: draft.alternatives });
  if (draft.tools.trim()) {
    const { value, problem } = parseJson(draft.tools);
    const wrong = problem ? [problem] : toolProblems(value);
    problems.push(...wrong.map((one) => ({ ...one, field: "tools" as const })));
    if (!wrong.length) Object.assign(body, { tools: value, tool_choice: draft.toolChoice });
  }
  if (draft.format === "json_object") body.response_format = { type: "json_object" };
  if (draft.format === "json_schema") {
    const { value, problem } = parseJson(draft.schema);
    const wrong = problem ? [problem] : schemaProblems(value);
    problems.push(...wrong.map((one) => ({ ...one, field: "schema" as const })));
    if (!wrong.length)
      body.response_format = { type: "json_schema", json_schema: { name: "answer", schema: value, strict: true } };
  }
  if (draft.stream) Object.assign(body, { stream: true, stream_options: { include_usage: true } });
  return { body, problems };
}

function messageOf({ role, content, tool_calls, tool_call_id }: Turn): Body {
  if (role === "assistant" && tool_calls?.length) return { role, content: content || null, tool_calls };
  return { role, content, ...(role === "tool" && tool_call_id ? { tool_call_id } : {}) };
}

/** A stored draft of any older shape: what is missing or of another kind is what a fresh one has. */
export function restored(stored: unknown): Draft {
  if (!stored || typeof stored !== "object") return FRESH;
  const given = stored as Record<string, unknown>;
  const kept = Object.entries(FRESH).map(([key, fresh]) => {
    const value = given[key];
    const alike = typeof value === typeof fresh && value !== null && Array.isArray(value) === Array.isArray(fresh);
    return [key, alike ? value : fresh] as const;
  });
  const draft = Object.fromEntries(kept) as unknown as Draft;
  return draft.turns.length ? draft : { ...draft, turns: FRESH.turns };
}

export const TOOLS_EXAMPLE = JSON.stringify(
  [
    {
      type: "function",
      function: {
        name: "get_weather",
        description: "Current weather of a city",
        parameters: {
          type: "object",
          properties: { city: { type: "string" }, unit: { type: "string", enum: ["celsius", "fahrenheit"] } },
          required: ["city"],
        },
      },
    },
  ],
  null,
  2,
);

export const SCHEMA_EXAMPLE = JSON.stringify(
  {
    type: "object",
    properties: { title: { type: "string" }, year: { type: "integer" } },
    required: ["title", "year"],
    additionalProperties: false,
  },
  null,
  2,
);
