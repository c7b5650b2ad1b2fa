/** The sampling parameters a person chose, kept in this browser; an absent one leaves the model's default. */
import { useState } from "react";
import type { Sampling } from "@/lib/types";

const STORED = "zhilu.sampling";

function read(): Sampling {
  try {
    const stored: unknown = JSON.parse(localStorage.getItem(STORED) ?? "{}");
    return typeof stored === "object" && stored !== null ? (stored as Sampling) : {};
  } catch {
    return {};
  }
}

export function useSampling(): [Sampling, (next: Sampling) => void] {
  const [sampling, set] = useState(read);
  const change = (next: Sampling) => {
    localStorage.setItem(STORED, JSON.stringify(next));
    set(next);
  };
  return [sampling, change];
}
