import { queryOptions, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api";
import { acceptJob } from "@/lib/jobs";
import type { Behaviour, Dataset, Exported, Job, Method, Objective, Parity, Run, RunDetail } from "@/lib/types";
import type { Options } from "./MoreOptions";

const data = (name: string) => `/datasets/${encodeURIComponent(name)}`;
const run = (name: string) => `/runs/${encodeURIComponent(name)}`;

export function useDatasets() {
  return useQuery({ queryKey: ["datasets"], queryFn: ({ signal }) => api.get<Dataset[]>("/datasets", signal) });
}

export function useRuns() {
  return useQuery({ queryKey: ["runs"], queryFn: ({ signal }) => api.get<Run[]>("/runs", signal) });
}

/** The curve grows while the run goes on. */
export function useRun(name: string) {
  return useQuery({
    ...runQuery(name),
    refetchInterval: ({ state }) => (state.data?.run.outcome ? false : 2_000),
  });
}

export function runQuery(name: string) {
  return queryOptions({
    queryKey: ["runs", name],
    queryFn: ({ signal }) => api.get<RunDetail>(run(name), signal),
  });
}

function useRefresh(key: string) {
  const queries = useQueryClient();
  return () => queries.invalidateQueries({ queryKey: [key] });
}

export function useAddDataset() {
  const refresh = useRefresh("datasets");
  return useMutation({
    mutationFn: async (file: File) => {
      const form = new FormData();
      form.append("file", file);
      const added = await api.post<Dataset>("/datasets", form);
      await api.post(`${data(added.name)}/check`, {});
      return added;
    },
    onSettled: refresh,
  });
}

/** The set to begin with, checked against its held-out rows. */
export function useAddExample() {
  const refresh = useRefresh("datasets");
  return useMutation({
    mutationFn: async () => {
      const [taught, heldOut] = await api.post<Dataset[]>("/datasets/example");
      if (taught && heldOut) await api.post(`${data(taught.name)}/check`, { held_out: heldOut.name });
    },
    onSettled: refresh,
  });
}

export function useCheckDataset() {
  const refresh = useRefresh("datasets");
  return useMutation({ mutationFn: (name: string) => api.post(`${data(name)}/check`, {}), onSettled: refresh });
}

export function useRemoveDataset() {
  const refresh = useRefresh("datasets");
  return useMutation({ mutationFn: (name: string) => api.delete(data(name)), onSettled: refresh });
}

export interface Wish extends Options {
  name: string | null;
  model: string;
  data: string;
  epochs: number | null;
  objective: Objective;
  method: Method;
  reward: string | null;
}

/** The result of a job `tune-probe`: what a run would take (estimate.py). Bytes, but for `peak_mb`. */
export interface Planned {
  memory: Estimate;
  free: number;
  fits: Estimate | null;
  steps: number;
  step_seconds: number;
  seconds: number;
  peak_mb: number;
}

interface Estimate {
  method: Method;
  max_len: number;
  total: number;
  checkpointing?: boolean;
}

export function useEstimate() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wish: Wish) => {
      const config: Partial<Wish> = { ...wish };
      delete config.name; // of a run that there is not yet
      return api.post<Job>("/runs/estimate", config);
    },
    onSuccess: (job) => acceptJob(queries, job),
  });
}

export function useStartRun() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ name, ...config }: Wish) => api.post<{ run: Run; job: Job }>("/runs", { name, config }),
    onSuccess: ({ job }) => {
      acceptJob(queries, job);
      return queries.invalidateQueries({ queryKey: ["runs"] });
    },
  });
}

export function useAsk() {
  return useMutation({ mutationFn: (name: string) => api.post<Behaviour>(`${run(name)}/ask`, {}) });
}

export function useParity() {
  return useMutation({ mutationFn: (name: string) => api.post<Parity>(`${run(name)}/parity`) });
}

/** What follows a run goes on as a job. */
function useJobOf(path: (name: string) => string, body: (wish: AfterWish) => object) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wish: AfterWish) => api.post<Job>(path(wish.name), body(wish)),
    onSuccess: (job) => acceptJob(queries, job),
  });
}

export interface AfterWish {
  name: string;
  format: Exported["format"];
}

export function useMerge() {
  return useJobOf(
    (name) => `${run(name)}/merge`,
    () => ({}),
  );
}

export function useExport() {
  return useJobOf(
    (name) => `${run(name)}/export`,
    ({ format }) => ({ format }),
  );
}
