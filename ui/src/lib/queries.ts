/** Questions that more than one feature asks the server. */
import { queryOptions, useMutation, useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { api } from "./api";
import { acceptJob } from "./jobs";
import type { Api, ConversationSummary, Engine, Job, KnowledgeBase, Model, ServerStatus, SetupPart } from "./types";

export function useStatus(): UseQueryResult<ServerStatus> {
  return useQuery({
    queryKey: ["status"],
    queryFn: ({ signal }) => api.get<ServerStatus>("/status", signal),
    retry: false,
    // Watch closely while the model loads, else now and then.
    refetchInterval: ({ state }) => (state.data?.model.state === "ready" ? 20_000 : 1_500),
  });
}

export function useModels(): UseQueryResult<Model[]> {
  return useQuery({
    queryKey: ["models"],
    queryFn: ({ signal }) => api.get<Model[]>("/models", signal),
    // Elsewhere a request may start one, and an idle one may be stopped.
    refetchInterval: ({ state }) => (state.data?.some((model) => model.state === "starting") ? 1_500 : 10_000),
  });
}

/** The APIs of others that were added; their models answer by the names given here. */
export function useApis(): UseQueryResult<Api[]> {
  return useQuery({ queryKey: ["apis"], queryFn: ({ signal }) => api.get<Api[]>("/apis", signal) });
}

/** What can run a model, installed or not. */
export function useEngines(): UseQueryResult<Engine[]> {
  return useQuery({ queryKey: ["engines"], queryFn: ({ signal }) => api.get<Engine[]>("/engines", signal) });
}

export const kbsQuery = queryOptions({
  queryKey: ["kbs"],
  queryFn: ({ signal }) => api.get<KnowledgeBase[]>("/kbs", signal),
});

export function useKbs(): UseQueryResult<KnowledgeBase[]> {
  return useQuery(kbsQuery);
}

export const conversationsQuery = queryOptions({
  queryKey: ["conversations"],
  queryFn: ({ signal }) => api.get<ConversationSummary[]>("/conversations", signal),
});

export function useConversations(): UseQueryResult<ConversationSummary[]> {
  return useQuery(conversationsQuery);
}

/** Newest first; kept fresh by the stream of `useJobEvents`. */
export function useJobs(): UseQueryResult<Job[]> {
  return useQuery({ queryKey: ["jobs"], queryFn: ({ signal }) => api.get<Job[]>("/jobs?limit=200", signal) });
}

/** Starts a model's engine; the answer comes at once, the state follows by polling. */
export function useStartModel() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (name: string) => api.post(`/models/${encodeURIComponent(name)}/start`, {}),
    onSettled: () => {
      // The list of models hears of a start a moment after the start is accepted.
      setTimeout(() => void queries.invalidateQueries({ queryKey: ["models"] }), 1_000);
      return Promise.all([
        queries.invalidateQueries({ queryKey: ["models"] }),
        queries.invalidateQueries({ queryKey: ["status"] }),
      ]);
    },
  });
}

/** Large parts that arrive after the workbench is up. */
export function useSetupParts(): UseQueryResult<SetupPart[]> {
  return useQuery({
    queryKey: ["setup"],
    queryFn: ({ signal }) => api.get<SetupPart[]>("/setup", signal),
    // One that comes by itself starts a moment after the server.
    refetchInterval: ({ state }) => (state.data?.every(({ status }) => status === "here") ? 60_000 : 5_000),
  });
}

export function useInstallPart() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ name, agreed }: { name: string; agreed: boolean }) =>
      api.post<Job>(`/setup/${encodeURIComponent(name)}`, { agreed }),
    onSuccess: (job) => acceptJob(queries, job),
    onSettled: () => queries.invalidateQueries({ queryKey: ["setup"] }),
  });
}
