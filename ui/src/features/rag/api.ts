import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api";
import { acceptJob } from "@/lib/jobs";
import type {
  Document,
  DocumentText,
  Hit,
  Job,
  KnowledgeBase,
  Repaired,
  SharedKb,
  StoreOffer,
  Trace,
  TraceSummary,
  UploadAnswer,
} from "@/lib/types";
import { clearAsked } from "./asks";
import { pathOf } from "./files";

export function useKb(id: string) {
  return useQuery({ queryKey: ["kbs", id], queryFn: ({ signal }) => api.get<KnowledgeBase>(`/kbs/${id}`, signal) });
}

export function useStores(enabled: boolean) {
  return useQuery({
    queryKey: ["stores"],
    queryFn: ({ signal }) => api.get<StoreOffer[]>("/kbs/stores", signal),
    enabled,
  });
}

export function useDocuments(kb: string) {
  return useQuery({
    queryKey: ["documents", kb],
    queryFn: ({ signal }) => api.get<Document[]>(`/kbs/${kb}/documents`, signal),
  });
}

export function useDocumentText(kb: string, doc: string) {
  return useQuery({
    queryKey: ["document-text", kb, doc],
    queryFn: ({ signal }) => api.get<DocumentText>(`/kbs/${kb}/documents/${doc}`, signal),
    staleTime: 60_000,
  });
}

export function useSearch(kb: string, query: string) {
  return useQuery({
    queryKey: ["search", kb, query],
    queryFn: () => api.post<{ hits: Hit[] }>(`/kbs/${kb}/search`, { query, k: 10 }),
    enabled: query !== "",
  });
}

export function useTraces(kb: string) {
  return useQuery({
    queryKey: ["traces", kb],
    queryFn: ({ signal }) => api.get<TraceSummary[]>(`/kbs/${kb}/traces?limit=100`, signal),
    staleTime: 0,
  });
}

export function useTrace(kb: string, id: string) {
  return useQuery({
    queryKey: ["trace", kb, id],
    queryFn: ({ signal }) => api.get<Trace>(`/kbs/${kb}/traces/${id}`, signal),
    staleTime: Infinity,
  });
}

/** Whether, and by whom, the web is searched here. */
export function useWebSearch() {
  return useQuery({
    queryKey: ["web-search"],
    queryFn: ({ signal }) => api.get<{ provider: string | null }>("/web", signal),
    staleTime: 30_000,
  });
}

function useRefresh() {
  const queries = useQueryClient();
  return () =>
    Promise.all([
      queries.invalidateQueries({ queryKey: ["kbs"] }),
      queries.invalidateQueries({ queryKey: ["documents"] }),
    ]);
}

export function useCreateKb() {
  const refresh = useRefresh();
  return useMutation({
    mutationFn: (body: { name: string; description?: string; store?: string }) => api.post<KnowledgeBase>("/kbs", body),
    onSuccess: refresh,
  });
}

export function useChangeKb() {
  const refresh = useRefresh();
  return useMutation({
    mutationFn: ({ id, ...change }: { id: string; name?: string; description?: string }) =>
      api.patch<KnowledgeBase>(`/kbs/${id}`, change),
    onSuccess: refresh,
  });
}

export function useDeleteKb() {
  const refresh = useRefresh();
  return useMutation({
    mutationFn: (id: string) => api.delete(`/kbs/${id}`),
    onSuccess: (_, id) => {
      clearAsked(id); // what was answered from it is gone with it
      return refresh();
    },
  });
}

export function useRepairKb() {
  const refresh = useRefresh();
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api.post<Repaired>(`/kbs/${id}/repair`),
    onSuccess: ({ job }) => {
      if (job) acceptJob(queries, job);
      return refresh();
    },
  });
}

/** Puts the vectors of a knowledge base into another store. */
export function useMoveKb() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ id, store }: { id: string; store: string }) => api.post<Job>(`/kbs/${id}/move`, { store }),
    onSuccess: (job) => acceptJob(queries, job),
  });
}

/** Makes a knowledge base of a file that another one was exported to. */
export function useTakeInKb() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ file, embedder }: { file: File; embedder?: string }) => {
      const form = new FormData();
      form.append("file", file, file.name);
      if (embedder) form.append("embedder", embedder);
      return api.post<SharedKb>("/kbs/import", form);
    },
    onSuccess: ({ job }) => acceptJob(queries, job),
  });
}

export function useUpload() {
  const refresh = useRefresh();
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ kb, files }: { kb: string; files: readonly File[] }) => {
      const form = new FormData();
      files.forEach((file) => form.append("files", file, pathOf(file)));
      return api.post<UploadAnswer>(`/kbs/${kb}/documents`, form);
    },
    onSuccess: ({ job }) => {
      if (job) acceptJob(queries, job);
      return refresh();
    },
  });
}

export function useDeleteDocument(kb: string) {
  const refresh = useRefresh();
  return useMutation({ mutationFn: (doc: string) => api.delete(`/kbs/${kb}/documents/${doc}`), onSuccess: refresh });
}

export function useRetryDocument(kb: string) {
  const refresh = useRefresh();
  return useMutation({
    mutationFn: (doc: string) => api.post(`/kbs/${kb}/documents/${doc}/retry`),
    onSuccess: refresh,
  });
}
