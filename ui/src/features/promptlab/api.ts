import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { components } from "@/lib/api.gen";
import { api } from "@/lib/api";
import { acceptJob } from "@/lib/jobs";
import type { Job } from "@/lib/types";

type Schemas = components["schemas"];
export type Template = Required<Schemas["PromptTemplate"]>;
export type Version = Omit<Schemas["PromptVersion"], "template"> & { template: Template };
export type PromptRun = Schemas["PromptRun"];
export type Graded = Schemas["GradedAnswer"];
export type Grader = NonNullable<Schemas["ScoredItem"]["grader"]>;
export type Item = Required<Schemas["ScoredItem"]>;
export type ScoredSet = Omit<Schemas["ScoredSet"], "questions"> & { questions: Item[] };
export type Comparison = Schemas["PromptComparison"];

export const GRADERS: readonly Grader[] = ["exact", "contains", "regex", "json", "schema", "judge"];

const path = (...parts: (string | number)[]) => `/promptlab/${parts.map(encodeURIComponent).join("/")}`;

export const useTemplates = () =>
  useQuery({
    queryKey: ["promptlab", "templates"],
    queryFn: ({ signal }) => api.get<Schemas["PromptSummary"][]>(path("templates"), signal),
  });

export const useVersions = (name: string) =>
  useQuery({
    queryKey: ["promptlab", "versions", name],
    queryFn: ({ signal }) => api.get<Version[]>(path("templates", name), signal),
    enabled: name !== "",
  });

export const useSets = () =>
  useQuery({
    queryKey: ["promptlab", "sets"],
    queryFn: ({ signal }) => api.get<Schemas["SetSummary"][]>(path("sets"), signal),
  });

export const useSet = (name: string) =>
  useQuery({
    queryKey: ["promptlab", "sets", name],
    queryFn: ({ signal }) => api.get<ScoredSet>(path("sets", name), signal),
    enabled: name !== "",
  });

export const useRuns = (template: string) =>
  useQuery({
    queryKey: ["promptlab", "runs", template],
    queryFn: ({ signal }) => api.get<PromptRun[]>(`${path("runs")}?template=${encodeURIComponent(template)}`, signal),
    enabled: template !== "",
  });

export const useComparison = (a: string, b: string) =>
  useQuery({
    queryKey: ["promptlab", "compare", a, b],
    queryFn: ({ signal }) =>
      api.get<Comparison>(`${path("compare")}?a=${encodeURIComponent(a)}&b=${encodeURIComponent(b)}`, signal),
    enabled: a !== "" && b !== "",
    retry: false,
  });

/** The messages that would go to the model, of a draft too. */
export const useRendered = (template: Template, vars: Record<string, string>) =>
  useQuery({
    queryKey: ["promptlab", "render", template, vars],
    queryFn: () => api.post<Schemas["RenderedMessage"][]>(path("render"), { template, vars }),
    retry: false,
  });

export const useCode = (name: string, number: number, language: string) =>
  useQuery({
    queryKey: ["promptlab", "code", name, number, language],
    queryFn: ({ signal }) =>
      api.get<Schemas["PromptCode"]>(`${path("templates", name, number, "code")}?language=${language}`, signal),
    select: ({ code }) => code,
  });

function useRefresh() {
  const queries = useQueryClient();
  return () => queries.invalidateQueries({ queryKey: ["promptlab"] });
}

export function useSaveVersion() {
  const onSuccess = useRefresh();
  return useMutation({
    mutationFn: (body: { name: string; template: Template }) => api.post<Version>(path("templates"), body),
    onSuccess,
  });
}

export function useSaveSet() {
  const onSuccess = useRefresh();
  return useMutation({
    mutationFn: ({ name, items }: { name: string; items: Item[] }) => api.put<ScoredSet>(path("sets", name), { items }),
    onSuccess,
  });
}

export function useImportSet() {
  const onSuccess = useRefresh();
  return useMutation({
    mutationFn: async (file: File) => {
      const name = file.name.replace(/\.[^.]*$/, "").replace(/[^\p{L}\p{N}_-]+/gu, "-");
      const form = /\.csv$/i.test(file.name) ? "csv" : "jsonl";
      return api.post<ScoredSet>(path("sets", name, "import"), { text: await file.text(), form });
    },
    onSuccess,
  });
}

export interface Wish {
  template: string;
  versions: number[];
  set: string;
  model: string | null;
  judge: string | null;
}

export function useStartRun() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wish: Wish) => api.post<Job>(path("runs"), wish),
    onSuccess: (job) => acceptJob(queries, job),
  });
}

export function useMark() {
  const onSuccess = useRefresh();
  return useMutation({
    mutationFn: ({ run, item, right }: { run: string; item: string; right: boolean | null }) =>
      api.post(path("runs", run, "marks"), { item, right }),
    onSuccess,
  });
}

export function useDeleteRun() {
  const onSuccess = useRefresh();
  return useMutation({ mutationFn: (id: string) => api.delete(path("runs", id)), onSuccess });
}

export const exportPath = (set: string) => path("sets", set, "export");
