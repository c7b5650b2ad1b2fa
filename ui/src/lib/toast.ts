/** Short messages that come and go; kept outside React so that any code can raise one. */
import { useSyncExternalStore } from "react";

export interface Toast {
  id: number;
  tone: "ok" | "note" | "bad";
  text: string;
}

/** News of a failure has more to say, and wants to be read. */
const LIFE_MS = { ok: 5_000, note: 10_000, bad: 15_000 };
let toasts: readonly Toast[] = [];
let last = 0;
const listeners = new Set<() => void>();

function set(next: readonly Toast[]) {
  toasts = next;
  listeners.forEach((listener) => listener());
}

export function dismiss(id: number): void {
  set(toasts.filter((toast) => toast.id !== id));
}

export function toast(text: string, tone: Toast["tone"] = "ok"): void {
  const id = ++last;
  set([...toasts.slice(-2), { id, tone, text }]);
  setTimeout(() => dismiss(id), LIFE_MS[tone]);
}

export function useToasts(): readonly Toast[] {
  return useSyncExternalStore(
    (listener) => {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
    () => toasts,
  );
}
