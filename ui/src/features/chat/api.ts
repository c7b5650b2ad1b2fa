/** What the chat asks the server for; the answer's stream is in turns.ts. */
import { keepPreviousData, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useDeferredValue } from "react";
import type { Approval } from "@/components/Approval";
import { api } from "@/lib/api";
import type { components } from "@/lib/api.gen";
import type { Conversation, ConversationSummary } from "@/lib/types";
import { useTurn } from "./turns";

export const conversationKey = (id: string) => ["conversation", id];

export function useConversation(id: string | undefined) {
  const running = useTurn(id).running;
  return useQuery({
    queryKey: conversationKey(id ?? ""),
    queryFn: ({ signal }) => api.get<Conversation>(`/conversations/${id}`, signal),
    // While an answer streams the cache is ahead of the server.
    enabled: id !== undefined && !running,
  });
}

export type Change = Partial<Omit<Conversation, "id" | "created_at" | "updated_at" | "messages">>;

export type Attachment = components["schemas"]["Attachment"];
export type ToolSource = components["schemas"]["AgentSourceOut"];

export const useToolSources = () =>
  useQuery({
    queryKey: ["agents", "sources"],
    queryFn: () => api.get<ToolSource[]>("/agents/sources"),
    staleTime: Infinity,
  });

export const useWebSearch = () =>
  useQuery({ queryKey: ["web"], queryFn: () => api.get<{ provider: string | null }>("/web") });

/** A person's answer to a call of the run that works on an answer; what comes of it arrives with the answer's steps. */
export function useApprove(run: string | null) {
  return useMutation({
    mutationFn: ({ call, ...answer }: Approval & { call: string }) =>
      api.post<unknown>(`/agents/runs/${run}/calls/${call}`, answer),
  });
}

/** Reads a file, to be sent with a question. */
export function attach(file: File): Promise<Attachment> {
  const form = new FormData();
  form.set("file", file);
  return api.post<Attachment>("/conversations/attachments", form);
}

/** The conversations that hold these words in their title or in a message; asked for once they stand still. */
export function useFound(words: string) {
  const asked = useDeferredValue(words);
  return useQuery({
    queryKey: ["conversations", "found", asked],
    queryFn: ({ signal }) => api.get<ConversationSummary[]>(`/conversations?q=${encodeURIComponent(asked)}`, signal),
    enabled: asked !== "",
    placeholderData: keepPreviousData,
  });
}

export function useImport() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (file: File) => {
      const form = new FormData();
      form.set("file", file);
      return api.post<ConversationSummary[]>("/conversations/import", form);
    },
    onSuccess: () => queries.invalidateQueries({ queryKey: ["conversations"] }),
  });
}

/** Changes a conversation at once here, then on the server; a refusal brings the server's state back. */
export function usePatchConversation() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ id, change }: { id: string; change: Change }) =>
      api.patch<Conversation>(`/conversations/${id}`, change),
    onMutate: ({ id, change }) => {
      queries.setQueryData<Conversation>(conversationKey(id), (old) => old && { ...old, ...change });
      queries.setQueryData<ConversationSummary[]>(["conversations"], (list) =>
        list?.map((one) => (one.id === id ? { ...one, ...change, title: change.title ?? one.title } : one)),
      );
    },
    onError: (_, { id }) => queries.invalidateQueries({ queryKey: conversationKey(id) }),
    onSettled: () => queries.invalidateQueries({ queryKey: ["conversations"] }),
  });
}

export function useDeleteConversation() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api.delete(`/conversations/${id}`),
    onSuccess: (_, id) => {
      queries.removeQueries({ queryKey: conversationKey(id) });
      queries.setQueryData<ConversationSummary[]>(["conversations"], (list) => list?.filter((one) => one.id !== id));
    },
  });
}
