/** The playground's form, kept in this browser over reloads. */
import { useState } from "react";
import { FRESH, restored, type Draft } from "./request";

const STORED = "zhilu.playground";

function read(): Draft {
  try {
    return restored(JSON.parse(localStorage.getItem(STORED) ?? "null"));
  } catch {
    return FRESH;
  }
}

export function useDraft(): [Draft, (change: Partial<Draft>) => void] {
  const [draft, set] = useState(read);
  const change = (part: Partial<Draft>) =>
    set((old) => {
      const next = { ...old, ...part };
      localStorage.setItem(STORED, JSON.stringify(next));
      return next;
    });
  return [draft, change];
}
