/** Speeds of a running model: differences of two readings of its counters. */
import type { LiveFigures } from "@/lib/types";

export interface Speed {
  /** Tokens a second over the readings kept; null before there are two. */
  generated: number | null;
  prompt: number | null;
}

/** Readings kept for the little curve, one every `EVERY_MS`. */
export const KEPT = 40;
export const EVERY_MS = 1_500;

/** One reading more; an engine that was restarted counts from zero again, so what came before says nothing. */
export function added(readings: readonly LiveFigures[], next: LiveFigures): LiveFigures[] {
  const last = readings.at(-1);
  if (!last) return [next];
  if (next.at <= last.at) return [...readings];
  if (next.generated_tokens < last.generated_tokens || next.prompt_tokens < last.prompt_tokens) return [next];
  return [...readings.slice(1 - KEPT), next];
}

export function speedOf(readings: readonly LiveFigures[]): Speed {
  const [before, now] = [readings.at(-2), readings.at(-1)];
  if (!before || !now) return { generated: null, prompt: null };
  const seconds = now.at - before.at;
  return {
    generated: (now.generated_tokens - before.generated_tokens) / seconds,
    prompt: (now.prompt_tokens - before.prompt_tokens) / seconds,
  };
}

/** The generated tokens a second between each two readings: the curve. */
export function curveOf(readings: readonly LiveFigures[]): number[] {
  return readings.slice(1).map((_, index) => speedOf(readings.slice(index, index + 2)).generated ?? 0);
}
