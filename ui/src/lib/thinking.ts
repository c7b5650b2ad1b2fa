/** Reasoning models think aloud between `<think>` marks before they answer; the two are shown apart. */
export interface Spoken {
  /** Null where the model did not think aloud. */
  thought: string | null;
  answer: string;
  /** The thought has ended. */
  decided: boolean;
}

const OPEN = "<think>";
const CLOSE = "</think>";

export function splitThought(text: string): Spoken {
  const start = text.trimStart();
  const end = text.indexOf(CLOSE);
  // Some templates put the opening mark into the prompt: then only the closing one is in the answer.
  if (!start.startsWith(OPEN) && end < 0) return { thought: null, answer: text, decided: true };
  const from = start.startsWith(OPEN) ? text.indexOf(OPEN) + OPEN.length : 0;
  if (end < 0) return { thought: text.slice(from).trim(), answer: "", decided: false };
  return {
    thought: text.slice(from, end).trim() || null,
    answer: text.slice(end + CLOSE.length).trimStart(),
    decided: true,
  };
}
