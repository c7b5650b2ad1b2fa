/** One stream of every job's changes for the whole workbench; pages read jobs from the query cache. */
import { useQueryClient, type QueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { stream } from "./api";
import type { Job, SetupPart } from "./types";

export const isActive = (job: Job): boolean => job.status === "queued" || job.status === "running";

/** What a finished (or moving) job of a kind changes besides itself. */
const TOUCHES: Record<string, readonly string[]> = {
  ingest: ["kbs", "documents"],
  "kb-move": ["kbs"],
  "kb-import": ["kbs", "documents"],
  "model-pull": ["models", "catalog"],
  "first-model": ["models", "catalog", "status"],
  "engine-install": ["engines"],
  check: ["roadmap", "evidence"],
  questions: ["board-questions"],
  evaluation: ["board-runs"],
  tune: ["runs", "adapters"],
  lesson: ["internals"],
  "prompt-run": ["promptlab"],
  longtext: ["longtext"],
  "app-check": ["apps"],
  transcribe: ["media"],
  "code-index": ["coder"],
};

export function acceptJob(queries: QueryClient, job: Job): void {
  queries.setQueryData<Job>(["job", job.id], job);
  queries.setQueryData<Job[]>(["jobs"], (jobs) => {
    if (!jobs) return jobs;
    return jobs.some(({ id }) => id === job.id) ? jobs.map((old) => (old.id === job.id ? job : old)) : [job, ...jobs];
  });
  queries.setQueryData<SetupPart[]>(["setup"], (parts) =>
    parts?.map((part) => (part.job?.id === job.id ? { ...part, job } : part)),
  );
  if (!isActive(job)) void queries.invalidateQueries({ queryKey: ["setup"] });
  const touched = TOUCHES[job.kind] ?? (isActive(job) ? [] : ["kbs", "documents", "models", "engines", "roadmap"]);
  for (const key of touched) void queries.invalidateQueries({ queryKey: [key] });
}

const RECONNECT_MS = 3_000;

export function useJobEvents(): void {
  const queries = useQueryClient();
  useEffect(() => {
    const stop = new AbortController();
    const listen = async () => {
      while (!stop.signal.aborted) {
        try {
          for await (const { data } of stream<{ event: "job"; data: Job }>("/jobs/events", stop.signal)) {
            if (data && data.id) acceptJob(queries, data);
          }
        } catch {
          // Refused or cut off: the status line tells so; here it is enough to come back.
        }
        await new Promise((done) => setTimeout(done, RECONNECT_MS));
        if (!stop.signal.aborted) void queries.invalidateQueries({ queryKey: ["jobs"] });
      }
    };
    void listen();
    return () => stop.abort();
  }, [queries]);
}
