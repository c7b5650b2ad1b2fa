import type { Engine } from "./types";

const ORDER: Record<Engine["status"], number> = { alive: 0, needs_gpu: 1, legacy: 2 };

/** What can be used now before what can be had, a URL after what runs here, the old last. */
export function usableFirst(engines: readonly Engine[]): Engine[] {
  const place = ({ installed, is_process, status }: Engine) =>
    (installed ? 0 : 10) + (is_process ? 0 : 5) + ORDER[status];
  return [...engines].sort((a, b) => place(a) - place(b));
}
