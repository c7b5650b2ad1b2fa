import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { components } from "@/lib/api.gen";
import { api } from "@/lib/api";
import { acceptJob } from "@/lib/jobs";
import type { Job } from "@/lib/types";

type Schemas = components["schemas"];
export type LongtextRun = Schemas["LongtextRun"];
export type MethodResult = Schemas["MethodResult"];
export type Summary = Schemas["LongtextSummary"];
export type Cell = Schemas["NeedleCell"];
export type Want = NonNullable<Schemas["LongtextWish"]["want"]>;

export const useMethods = () =>
  useQuery({
    queryKey: ["longtext", "methods"],
    queryFn: ({ signal }) => api.get<Schemas["LongtextMethod"][]>("/longtext/methods", signal),
    staleTime: Infinity,
  });

export const useRuns = () =>
  useQuery({
    queryKey: ["longtext", "runs"],
    queryFn: ({ signal }) => api.get<LongtextRun[]>("/longtext/runs", signal),
  });

/** What each method did comes as it is through. */
export const useRun = (id: string) =>
  useQuery({
    queryKey: ["longtext", "run", id],
    queryFn: ({ signal }) => api.get<LongtextRun>(`/longtext/runs/${encodeURIComponent(id)}`, signal),
    enabled: id !== "",
    refetchInterval: ({ state }) => (state.data && !state.data.done ? 2_000 : false),
    retry: false,
  });

export function useStart() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: { wish: Partial<Schemas["LongtextWish"]>; text: string }) =>
      api.post<{ run: LongtextRun; job: Job }>("/longtext/runs", body),
    onSuccess: ({ job }) => {
      acceptJob(queries, job);
      return queries.invalidateQueries({ queryKey: ["longtext", "runs"] });
    },
  });
}

export function useDelete() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api.delete(`/longtext/runs/${encodeURIComponent(id)}`),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["longtext"] }),
  });
}
