import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api";
import type { components } from "@/lib/api.gen";
import { isActive } from "@/lib/jobs";
import type { Job } from "@/lib/types";

type Schemas = components["schemas"];
export type AgentRun = Schemas["Run"];
/** The job as the whole workbench knows it. */
export type RunOut = Omit<Schemas["AgentRunOut"], "job"> & { job: Job | null };
export type Entry = Schemas["AgentEntryOut"];
export type Source = Schemas["AgentSourceOut"];
export type Fact = Schemas["Fact"];
export type Wish = Partial<Schemas["RunWish"]> & { task: string };

/** A model's turn, as the trace keeps it. */
export interface Said {
  text: string;
  calls: [string, unknown][];
  thought: string;
  tokens: number;
  seconds: number;
  prompt: { role: string; content: string | null }[];
  raw: string;
  /** What it means to call, in order. Traces from before there were plans have none. */
  plan?: { tool: string; aim: string }[];
}

const LOOK_MS = 800;

export const useSources = () =>
  useQuery({
    queryKey: ["agents", "sources"],
    queryFn: () => api.get<Source[]>("/agents/sources"),
    staleTime: Infinity,
  });

export const useRuns = () =>
  useQuery({ queryKey: ["agents", "runs"], queryFn: () => api.get<AgentRun[]>("/agents/runs") });

/** A run, looked at again and again while it works. */
export const useRun = (id: string) =>
  useQuery({
    queryKey: ["agents", "run", id],
    queryFn: () => api.get<RunOut>(`/agents/runs/${id}`),
    refetchInterval: ({ state }) => (state.data?.job && isActive(state.data.job) ? LOOK_MS : false),
  });

export function useStart() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wish: Wish) => api.post<AgentRun>("/agents/runs", wish),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["agents", "runs"] }),
  });
}

export function useReplay(id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (before: number) => api.post<AgentRun>(`/agents/runs/${id}/replay`, { before }),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["agents", "runs"] }),
  });
}

export const useFacts = () =>
  useQuery({ queryKey: ["agents", "memory"], queryFn: () => api.get<Fact[]>("/agents/memory"), retry: false });

export function useKeep() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (text: string) => api.post<Fact>("/agents/memory", { text }),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["agents", "memory"] }),
  });
}

export function useForget() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (id: number) => api.delete(`/agents/memory/${id}`),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["agents", "memory"] }),
  });
}

interface Answer {
  call: string;
  allowed: boolean;
  always?: boolean;
  reason?: string;
  arguments?: Record<string, unknown>;
}

export function useAnswer(id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ call, ...answer }: Answer) => api.post<RunOut>(`/agents/runs/${id}/calls/${call}`, answer),
    onSuccess: (run) => queries.setQueryData(["agents", "run", id], run),
  });
}

export function useRemove() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api.delete(`/agents/runs/${id}`),
    onSuccess: () => void queries.invalidateQueries({ queryKey: ["agents", "runs"] }),
  });
}
