import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { api, download, stream } from "@/lib/api";
import type { components } from "@/lib/api.gen";
import type { Citation, ErrorDetail, UploadAnswer } from "@/lib/types";

type Schemas = components["schemas"];
export type Me = Schemas["KnowledgeMe"];
export type Person = Schemas["KnowledgePerson"];
export type Group = Schemas["KnowledgeGroup"];
export type Role = Person["role"];
export type KnowledgeDocument = Schemas["KnowledgeDocument"];

const AT = "/knowledge";

/** What the server says now, under one key, so that signing in or out throws all of it away. */
function useKnown<R>(path: string, enabled = true) {
  return useQuery({
    queryKey: ["enterprise", path],
    queryFn: ({ signal }) => api.get<R>(`${AT}${path}`, signal),
    enabled,
  });
}

export const useMe = () => useKnown<Me>("/me");
export const useDocuments = () => useKnown<KnowledgeDocument[]>("/documents");
export const useQuestions = () => useKnown<Schemas["AskedQuestion"][]>("/questions?limit=20");
export const useFreshness = () => useKnown<Schemas["StaleDocument"][]>("/reports/freshness");
export const useGaps = () => useKnown<Schemas["Gap"][]>("/reports/gaps");
export const useFigures = () => useKnown<Schemas["KnowledgeFigures"]>("/reports/figures");
export const usePeople = () => useKnown<Person[]>("/admin/people");
export const useGroups = () => useKnown<Group[]>("/admin/groups");
export const useAllKbs = () => useKnown<Schemas["KnowledgeBaseName"][]>("/admin/kbs");
export const useAudit = () => useKnown<Schemas["AuditPage"]>("/admin/audit");

export interface Change {
  method: "post" | "patch" | "delete";
  path: string;
  body?: unknown;
}

/** Any change; all that is shown is asked for again after it. */
export function useChange() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ method, path, body }: Change) =>
      method === "delete" ? api.delete<unknown>(`${AT}${path}`) : api[method]<unknown>(`${AT}${path}`, body),
    onSettled: async (_answer, _error, { path }) => {
      if (path !== "/sign-out") return queries.invalidateQueries({ queryKey: ["enterprise"] });
      // who is gone may ask for nothing: first nobody is signed in, then what was shown is thrown away
      await queries.invalidateQueries({ queryKey: ["enterprise", "/me"] });
      queries.removeQueries({ queryKey: ["enterprise"], predicate: ({ queryKey }) => queryKey[1] !== "/me" });
    },
  });
}

/** Files into a knowledge base; the answer says which were taken, and which were not and why. */
export function useAddDocuments() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ kb, files }: { kb: string; files: readonly File[] }) => {
      const form = new FormData();
      files.forEach((file) => form.append("files", file, file.name));
      return api.post<Omit<Schemas["KnowledgeUploaded"], "rejected"> & Pick<UploadAnswer, "rejected">>(
        `${AT}/kbs/${kb}/documents`,
        form,
      );
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["enterprise"] }),
  });
}

const LOOKS = 200; // a file that cannot be read never comes

/** Asks for what is there again and again while something is `awaited`. */
export function useLookAgain(awaited: boolean) {
  const queries = useQueryClient();
  useEffect(() => {
    if (!awaited) return;
    let left = LOOKS;
    const timer = setInterval(() => {
      if (left-- === 0) clearInterval(timer);
      else void queries.invalidateQueries({ queryKey: ["enterprise", "/documents"] });
    }, 1_500);
    return () => clearInterval(timer);
  }, [awaited, queries]);
}

export type AskEvent =
  | { event: "retrieved"; data: { passages: Citation[] } }
  | { event: "delta"; data: { text: string } }
  | { event: "done"; data: { answer: string; refused: boolean; citations: Citation[]; trace_id: string } }
  | { event: "error"; data: { error: ErrorDetail } };

export const askKnowledge = (question: string, signal: AbortSignal) =>
  stream<AskEvent>(`${AT}/ask`, signal, { question });

export const beginOidc = () => api.post<{ url: string }>(`${AT}/oidc/begin`);
export const finishOidc = (answer: Record<string, string>) => api.post<Person>(`${AT}/oidc/finish`, answer);
export const exportAudit = () => download(`${AT}/admin/audit/export`, "audit.jsonl");
