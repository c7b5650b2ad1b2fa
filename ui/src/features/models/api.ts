import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, ApiError } from "@/lib/api";
import { acceptJob } from "@/lib/jobs";
import type { Job, Model, ModelDetails } from "@/lib/types";

const at = (name: string) => `/models/${encodeURIComponent(name)}`;

export function useModelDetails(name: string) {
  return useQuery({ queryKey: ["models", name], queryFn: ({ signal }) => api.get<ModelDetails>(at(name), signal) });
}

/** The end of the engine's output; null for a model that never ran. */
export function useModelLog(name: string, live: boolean) {
  return useQuery({
    queryKey: ["model-log", name],
    queryFn: async ({ signal }) => {
      try {
        return await api.get<{ text: string }>(`/engines/running/${encodeURIComponent(name)}/log`, signal);
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null;
        throw error;
      }
    },
    refetchInterval: live ? 2_000 : false,
  });
}

function useRefresh() {
  const queries = useQueryClient();
  return () =>
    Promise.all([
      queries.invalidateQueries({ queryKey: ["models"] }),
      queries.invalidateQueries({ queryKey: ["status"] }),
    ]);
}

export function useStopModel() {
  const refresh = useRefresh();
  return useMutation({ mutationFn: (name: string) => api.post(`${at(name)}/stop`), onSettled: refresh });
}

export function useRemoveModel() {
  const refresh = useRefresh();
  return useMutation({ mutationFn: (name: string) => api.delete(at(name)), onSuccess: refresh });
}

export function useImportModel() {
  const refresh = useRefresh();
  return useMutation({
    mutationFn: (body: { path: string; name?: string }) => api.post<Model>("/models/import", body),
    onSuccess: refresh,
  });
}

export interface Pull {
  source: "hf" | "modelscope";
  repo: string;
  revision?: string;
  name?: string;
}

export function usePullModel() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: Pull) => api.post<Job>("/models/pull", body),
    onSuccess: (job) => acceptJob(queries, job),
  });
}
