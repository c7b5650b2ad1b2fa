/** What a server of the OpenAI protocol answers, whole or streamed, read into one shape. */
import type { ErrorDetail, Usage } from "@/lib/types";
import type { ToolCall } from "./request";

/** A generated token with its natural logarithm of probability, and the likeliest ones at its place. */
export interface Token {
  text: string;
  logprob: number;
  top: { text: string; logprob: number }[];
}

export interface Choice {
  text: string;
  thought: string;
  calls: ToolCall[];
  finish: string | null;
  tokens: Token[];
  /** The text in the pieces it came in: what stands for tokens where no log-probabilities were asked for. */
  pieces: string[];
}

export interface Answer {
  choices: Choice[];
  usage: Usage | null;
  error: ErrorDetail | null;
}

export const EMPTY: Answer = { choices: [], usage: null, error: null };

interface WireToken {
  token: string;
  logprob: number;
  top_logprobs?: { token: string; logprob: number }[];
}

interface WireChoice {
  index?: number;
  delta?: WireMessage;
  message?: WireMessage;
  finish_reason?: string | null;
  logprobs?: { content?: WireToken[] | null } | null;
}

interface WireMessage {
  content?: string | null;
  reasoning_content?: string | null;
  reasoning?: string | null;
  tool_calls?: { index?: number; id?: string; function?: { name?: string; arguments?: string } }[] | null;
}

export interface WireAnswer {
  choices?: WireChoice[];
  usage?: Usage | null;
  error?: ErrorDetail;
}

const blank = (): Choice => ({ text: "", thought: "", calls: [], finish: null, tokens: [], pieces: [] });

/** `answer` and one more piece of it; a whole answer is a single piece. Nothing given is changed. */
export function grown(answer: Answer, piece: WireAnswer): Answer {
  const choices = [...answer.choices];
  for (const part of piece.choices ?? []) {
    const index = part.index ?? 0;
    while (choices.length <= index) choices.push(blank());
    choices[index] = grownChoice(choices[index] ?? blank(), part);
  }
  return { choices, usage: piece.usage ?? answer.usage, error: piece.error ?? answer.error };
}

function grownChoice(choice: Choice, part: WireChoice): Choice {
  const said = part.delta ?? part.message ?? {};
  const tokens = (part.logprobs?.content ?? []).map(({ token, logprob, top_logprobs }) => ({
    text: token,
    logprob,
    top: (top_logprobs ?? []).map((other) => ({ text: other.token, logprob: other.logprob })),
  }));
  return {
    text: choice.text + (said.content ?? ""),
    thought: choice.thought + (said.reasoning_content ?? said.reasoning ?? ""),
    calls: grownCalls(choice.calls, said.tool_calls ?? []),
    finish: part.finish_reason ?? choice.finish,
    tokens: tokens.length ? [...choice.tokens, ...tokens] : choice.tokens,
    pieces: said.content ? [...choice.pieces, said.content] : choice.pieces,
  };
}

/** Streamed calls come in pieces: id and name once, the arguments' text bit by bit, found by `index`. */
function grownCalls(calls: ToolCall[], parts: NonNullable<WireMessage["tool_calls"]>): ToolCall[] {
  if (!parts.length) return calls;
  const out = [...calls];
  parts.forEach((part, position) => {
    const at = part.index ?? position;
    const old = out[at] ?? { id: "", type: "function" as const, function: { name: "", arguments: "" } };
    out[at] = {
      id: part.id ?? old.id,
      type: "function",
      function: {
        name: part.function?.name ?? old.function.name,
        arguments: old.function.arguments + (part.function?.arguments ?? ""),
      },
    };
  });
  return out;
}

/** Milliseconds of one clock. `first`: when the first word came; of a whole answer that is its end. */
export interface Timing {
  started: number;
  first: number | null;
  ended: number | null;
}

export interface Figures {
  /** Seconds to the first token; null while none has come, or where the answer came whole. */
  ttft: number | null;
  seconds: number | null;
  /** Tokens a second: after the first where it was streamed (decoding alone), over everything where it came whole. */
  rate: number | null;
}

export function figuresOf(
  { started, first, ended }: Timing,
  numTokens: number | undefined,
  streamed: boolean,
): Figures {
  const seconds = ended === null ? null : (ended - started) / 1000;
  const ttft = streamed && first !== null ? (first - started) / 1000 : null;
  let rate: number | null = null;
  if (numTokens && seconds !== null) {
    if (!streamed) rate = seconds > 0 ? numTokens / seconds : null;
    else if (ttft !== null && numTokens > 1 && seconds > ttft) rate = (numTokens - 1) / (seconds - ttft);
  }
  return { ttft, seconds, rate };
}

/** The tokens of a choice where they are known, else the pieces it was streamed in. */
export function partsOf(choice: Choice | undefined): string[] {
  if (!choice) return [];
  const told = choice.tokens.map(({ text }) => text);
  // A token that is half a character has a text that the answer does not hold: then the pieces are the truth.
  return told.join("") === choice.text && told.length ? told : choice.pieces;
}
