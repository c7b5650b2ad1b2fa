/** The sampling parameters of a conversation; an absent one leaves the model's default. A new one begins with the last ones. */
import { useModels } from "@/lib/queries";
import type { Sampling } from "@/lib/types";

const STORED = "zhilu.sampling";

export function lastSampling(): Sampling {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(STORED) ?? "{}");
    return typeof stored === "object" && stored !== null ? (stored as Sampling) : {};
  } catch {
    return {};
  }
}

export function keepSampling(next: Sampling): void {
  localStorage.setItem(STORED, JSON.stringify(next));
}

/** Whether the model thinks before it answers, where one wishes. */
export function useCanThink(model: string | null): boolean {
  return useModels().data?.find(({ name }) => name === model)?.thinking === "switch";
}

/** What may be sent to a model: one that knows no such switch would refuse it. */
export function sendable({ think, ...rest }: Sampling, canThink: boolean): Sampling {
  return canThink && think !== undefined ? { ...rest, think } : rest;
}
