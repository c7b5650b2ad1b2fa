import { useSyncExternalStore } from "react";
import { useErrorText } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { toast } from "@/lib/toast";
import { useUpload } from "./api";
import { batches, pathOf } from "./files";

export interface Rejection {
  name: string;
  why: string;
}

/** How far files are on their way: `now` is the one that is being sent, null when all are. */
export interface Sending {
  done: number;
  total: number;
  now: string | null;
  rejected: Rejection[];
}

// Outlives the page that began it: files dropped on the list are sent while their new knowledge base is shown.
const sendings = new Map<string, Sending>();
const listeners = new Set<() => void>();

function tell(kb: string, sending: Sending | null): void {
  if (sending) sendings.set(kb, sending);
  else sendings.delete(kb);
  listeners.forEach((changed) => changed());
}

function subscribe(changed: () => void): () => void {
  listeners.add(changed);
  return () => listeners.delete(changed);
}

/** What is on its way to a knowledge base, null where nothing is and nothing was rejected. */
export function useSending(kb: string): { sending: Sending | null; dismiss: () => void } {
  const sending = useSyncExternalStore(subscribe, () => sendings.get(kb) ?? null);
  return { sending, dismiss: () => tell(kb, null) };
}

/** Sends files to a knowledge base, some at a time, and says how it goes; what was rejected is told file by file. */
export function useAddFiles(): (kb: string, files: readonly File[]) => Promise<void> {
  const { t } = useI18n();
  const errorText = useErrorText();
  const upload = useUpload();
  return async (kb, files) => {
    const rejected: Rejection[] = [];
    let done = 0;
    let added = 0;
    let duplicates = 0;
    for (const some of batches(files)) {
      tell(kb, { done, total: files.length, now: pathOf(some[0]!), rejected: [...rejected] });
      try {
        const answer = await upload.mutateAsync({ kb, files: some });
        added += answer.documents.length;
        for (const { name, error } of answer.rejected) {
          // The same content twice is no error: it is there, as was wished.
          if (error.code === "duplicate") duplicates++;
          else rejected.push({ name, why: errorText(error).text });
        }
      } catch (error) {
        const why = errorText(error).text;
        rejected.push(...some.map((file) => ({ name: pathOf(file), why })));
      }
      done += some.length;
    }
    if (added) toast(t("rag.added", { n: added }));
    if (duplicates) toast(t("rag.duplicates", { n: duplicates }), "note");
    tell(kb, rejected.length ? { done, total: files.length, now: null, rejected } : null);
  };
}
