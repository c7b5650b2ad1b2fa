import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api";
import type { components } from "@/lib/api.gen";
import { acceptJob } from "@/lib/jobs";
import type { Document, DocumentText, Job, KnowledgeBase, Text, UploadAnswer } from "@/lib/types";

type Schemas = components["schemas"];
export type DocTable = Schemas["DocTableOut"];
export type DocSummary = Schemas["DocSummary"];

/** How a table answered; part of the event `done`, which no type of the API describes. */
export interface TableAnswer {
  doc_id: string;
  doc_name: string;
  heading: string;
  looked_up: Text;
  value: string;
  columns: string[];
  rows: string[][];
}

export const useDesk = (kb: string) =>
  useQuery({ queryKey: ["kbs", kb], queryFn: ({ signal }) => api.get<KnowledgeBase>(`/kbs/${kb}`, signal) });

export const useDocuments = (kb: string) =>
  useQuery({
    queryKey: ["documents", kb],
    queryFn: ({ signal }) => api.get<Document[]>(`/kbs/${kb}/documents`, signal),
    refetchInterval: ({ state }) => (state.data?.some(isWaiting) ? 2_000 : false),
  });

export const isWaiting = ({ status }: Document): boolean => status === "queued" || status === "ingesting";

export const useText = (kb: string, doc: string) =>
  useQuery({
    queryKey: ["document-text", kb, doc],
    queryFn: ({ signal }) => api.get<DocumentText>(`/kbs/${kb}/documents/${doc}`, signal),
    staleTime: 60_000,
  });

export const useTables = (kb: string, doc: string) =>
  useQuery({
    queryKey: ["docqa", "tables", kb, doc],
    queryFn: ({ signal }) => api.get<DocTable[]>(`/docqa/${kb}/documents/${doc}/tables`, signal),
    staleTime: 60_000,
  });

const summaryAt = (kb: string, doc: string) => `/docqa/${kb}/documents/${doc}/summary`;

/** It grows while its job goes on. */
export const useSummary = (kb: string, doc: string) =>
  useQuery({
    queryKey: ["docqa", "summary", kb, doc],
    queryFn: ({ signal }) => api.get<Schemas["DocSummaryOut"]>(summaryAt(kb, doc), signal),
    refetchInterval: ({ state }) => {
      const summary = state.data?.summary;
      const ended = summary?.job && ["done", "failed", "cancelled"].includes(summary.job.status);
      return summary && !summary.run.done && !ended ? 2_000 : false;
    },
  });

export function useSummarise(kb: string, doc: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => api.post<DocSummary>(summaryAt(kb, doc)),
    onSuccess: ({ job }) => {
      if (job) acceptJob(queries, job as Job);
      return queries.invalidateQueries({ queryKey: ["docqa", "summary", kb, doc] });
    },
  });
}

const MOST_NAME = 90;

/** A name for what is opened: the folder's, else the first file's; the server has no two of one name, so a number follows. */
function deskName(files: readonly File[], taken: readonly string[]): string {
  const folder = files[0]?.webkitRelativePath.split("/")[0];
  const name = (folder || files[0]?.name.replace(/\.\w+$/, "") || "documents").slice(0, MOST_NAME);
  let free = name;
  for (let n = 2; taken.includes(free); n++) free = `${name} ${n}`;
  return free;
}

/** Makes a knowledge base of files, or adds them to one that is there; gives its id and what was refused. */
export function useOpenFiles() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ kb, files }: { kb?: string; files: readonly File[] }) => {
      let id = kb;
      if (!id) {
        const taken = (await api.get<KnowledgeBase[]>("/kbs")).map(({ name }) => name);
        id = (await api.post<KnowledgeBase>("/kbs", { name: deskName(files, taken) })).id;
      }
      const form = new FormData();
      files.forEach((file) => form.append("files", file, file.webkitRelativePath || file.name));
      return { id, ...(await api.post<UploadAnswer>(`/kbs/${id}/documents`, form)) };
    },
    onSuccess: ({ job }) => {
      if (job) acceptJob(queries, job);
    },
    onSettled: () => Promise.all(["kbs", "documents"].map((key) => queries.invalidateQueries({ queryKey: [key] }))),
  });
}
