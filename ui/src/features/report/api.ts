import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, stream } from "@/lib/api";
import type { components } from "@/lib/api.gen";
import { acceptJob } from "@/lib/jobs";
import type { ErrorDetail, Job } from "@/lib/types";

type Schemas = components["schemas"];
export type Source = Schemas["ReportSource"];
export type TableSchema = Schemas["DatabaseSchema"];
export type Section = Schemas["ReportSection"];
export type Attempt = Schemas["QueryAttempt"];
export type Result = Schemas["QueryResult"];
export type Report = Schemas["Report"];

const at = (source: string) => `/report/sources/${encodeURIComponent(source)}`;

export function useSources() {
  return useQuery({
    queryKey: ["report", "sources"],
    queryFn: ({ signal }) => api.get<Source[]>("/report/sources", signal),
  });
}

export function useSchema(source: string) {
  return useQuery({
    queryKey: ["report", "schema", source],
    queryFn: ({ signal }) => api.get<TableSchema>(`${at(source)}/schema`, signal),
    enabled: source !== "",
  });
}

export function useReports() {
  return useQuery({
    queryKey: ["report", "reports"],
    queryFn: ({ signal }) => api.get<Report[]>("/report/reports", signal),
  });
}

/** A report grows while its job goes on. */
export function useReport(id: string) {
  return useQuery({
    queryKey: ["report", "reports", id],
    queryFn: ({ signal }) => api.get<Report>(`/report/reports/${encodeURIComponent(id)}`, signal),
    refetchInterval: ({ state }) =>
      state.data && state.data.sections.length < state.data.questions.length ? 2_000 : false,
  });
}

function useRefresh() {
  const queries = useQueryClient();
  return () => queries.invalidateQueries({ queryKey: ["report"] });
}

export function useAddSource() {
  const refresh = useRefresh();
  return useMutation({
    mutationFn: (what: File | string) => {
      if (typeof what === "string") return api.post<Source>(`/report/samples/${what}`);
      const form = new FormData();
      form.append("file", what);
      return api.post<Source>("/report/sources", form);
    },
    onSettled: refresh,
  });
}

export function useRemoveSource() {
  const refresh = useRefresh();
  return useMutation({ mutationFn: (id: string) => api.delete(at(id)), onSettled: refresh });
}

export interface ReportWish {
  title: string;
  source: string;
  questions: readonly string[];
  every_hours: number | null;
}

export function useMakeReport() {
  const queries = useQueryClient();
  const refresh = useRefresh();
  return useMutation({
    mutationFn: (wish: ReportWish) => api.post<{ report: Report; job: Job }>("/report/reports", wish),
    onSuccess: ({ job }) => {
      acceptJob(queries, job);
      return refresh();
    },
  });
}

export function useMakeAgain() {
  const queries = useQueryClient();
  const refresh = useRefresh();
  return useMutation({
    mutationFn: (id: string) => api.post<Job>(`/report/reports/${encodeURIComponent(id)}/make`),
    onSuccess: (job) => {
      acceptJob(queries, job);
      return refresh();
    },
  });
}

export function useDeleteReport() {
  const refresh = useRefresh();
  return useMutation({
    mutationFn: (id: string) => api.delete(`/report/reports/${encodeURIComponent(id)}`),
    onSettled: refresh,
  });
}

export type AskEvent =
  | { event: "query"; data: Attempt }
  | { event: "result"; data: Section }
  | { event: "done"; data: Section }
  | { event: "error"; data: { error: ErrorDetail } };

export const ask = (source: string, question: string, signal: AbortSignal) =>
  stream<AskEvent>(`${at(source)}/ask`, signal, { question });

/** The chart of a result as the address of an image; null where it has none. */
export function useChart(title: string, result: Result | null | undefined, wanted: boolean) {
  return useQuery({
    queryKey: ["report", "chart", title, result],
    queryFn: () => api.picture("/report/chart", { title, result }),
    enabled: wanted && !!result,
    staleTime: Infinity,
    retry: false,
  });
}
