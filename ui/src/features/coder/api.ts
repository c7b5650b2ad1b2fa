import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, stream } from "@/lib/api";
import type { components } from "@/lib/api.gen";
import { acceptJob } from "@/lib/jobs";
import type { ErrorDetail, Job } from "@/lib/types";

type Schemas = components["schemas"];
export type Repo = Schemas["CodeRepo"];
export type CodeFile = Schemas["CodeFile"];
export type CodeText = Schemas["CodeText"];
export type CodeSymbol = Schemas["CodeSymbol"];
export type Hit = Schemas["CodeHit"];
export type Caller = Schemas["CodeCaller"];
export type Answer = Schemas["CodeAnswer"];
export type Sentence = Schemas["CodeSentence"];
export type Edit = Schemas["CodeEdit"];
interface Started {
  repo: Repo;
  job: Job;
}

export const at = (repo: string) => `/coder/repos/${encodeURIComponent(repo)}`;

export function useRepos() {
  return useQuery({
    queryKey: ["coder", "repos"],
    queryFn: ({ signal }) => api.get<Repo[]>("/coder/repos", signal),
  });
}

export function useFiles(repo: string) {
  return useQuery({
    queryKey: ["coder", "files", repo],
    queryFn: ({ signal }) => api.get<CodeFile[]>(`${at(repo)}/files`, signal),
  });
}

export function useCodeText(repo: string, path: string) {
  return useQuery({
    queryKey: ["coder", "text", repo, path],
    queryFn: ({ signal }) => api.get<CodeText>(`${at(repo)}/file?path=${encodeURIComponent(path)}`, signal),
  });
}

export function useSymbols(repo: string, name: string) {
  return useQuery({
    queryKey: ["coder", "symbols", repo, name],
    queryFn: ({ signal }) => api.get<CodeSymbol[]>(`${at(repo)}/symbols?name=${encodeURIComponent(name)}`, signal),
    enabled: name !== "",
  });
}

export function useSearch(repo: string, words: string) {
  return useQuery({
    queryKey: ["coder", "search", repo, words],
    queryFn: ({ signal }) => api.get<Hit[]>(`${at(repo)}/search?q=${encodeURIComponent(words)}`, signal),
    enabled: words !== "",
  });
}

export function useCallers(repo: string, name: string) {
  return useQuery({
    queryKey: ["coder", "callers", repo, name],
    queryFn: ({ signal }) => api.get<Caller[]>(`${at(repo)}/callers?name=${encodeURIComponent(name)}`, signal),
    enabled: name !== "",
  });
}

/** A folder's path, or nothing for the sample. */
export function useAddRepo() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wish: { root: string; name: string | null } | null) =>
      wish ? api.post<Started>("/coder/repos", wish) : api.post<Started>("/coder/sample"),
    onSuccess: ({ job }) => acceptJob(queries, job),
    onSettled: () => queries.invalidateQueries({ queryKey: ["coder"] }),
  });
}

export function useReadAgain() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (repo: string) => api.post<Job>(`${at(repo)}/index`),
    onSuccess: (job) => {
      acceptJob(queries, job);
      return queries.invalidateQueries({ queryKey: ["coder", "repos"] });
    },
  });
}

export function useRemoveRepo() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (repo: string) => api.delete(at(repo)),
    onSettled: () => queries.invalidateQueries({ queryKey: ["coder"] }),
  });
}

export function useEdits(repo: string) {
  return useQuery({
    queryKey: ["coder", "edits", repo],
    queryFn: ({ signal }) => api.get<Edit[]>(`${at(repo)}/edits`, signal),
  });
}

export function usePropose(repo: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (wish: { instruction: string; symbol: string | null }) => api.post<Edit>(`${at(repo)}/edits`, wish),
    onSettled: () => queries.invalidateQueries({ queryKey: ["coder", "edits", repo] }),
  });
}

/** Approves a change, takes it back, tries it, or forgets it. */
export function useEditStep(repo: string, id: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async (step: "apply" | "undo" | "tests" | "forget") => {
      if (step === "forget") await api.delete(`${at(repo)}/edits/${id}`);
      else await api.post<Edit>(`${at(repo)}/edits/${id}/${step}`);
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["coder"] }),
  });
}

export type AskEvent =
  | { event: "passages"; data: Answer }
  | { event: "text"; data: { text: string } }
  | { event: "done"; data: Answer }
  | { event: "error"; data: { error: ErrorDetail } };

export const ask = (repo: string, question: string, signal: AbortSignal) =>
  stream<AskEvent>(`${at(repo)}/ask`, signal, { question });
