/** Folders of conversations and saved prompts. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api";
import type { components } from "@/lib/api.gen";

type Schemas = components["schemas"];
export type ChatFolder = Schemas["ChatFolder"];
export type SavedPrompt = Required<Schemas["SavedPrompt"]>;

const FOLDERS = ["chat", "folders"];
const PROMPTS = ["chat", "prompts"];

export const useFolders = () => useQuery({ queryKey: FOLDERS, queryFn: () => api.get<ChatFolder[]>("/chat/folders") });

/** `id` absent: a new one. */
export function useSaveFolder() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ id, name }: { id?: string; name: string }) =>
      id === undefined
        ? api.post<ChatFolder>("/chat/folders", { name })
        : api.patch<ChatFolder>(`/chat/folders/${id}`, { name }),
    onSuccess: () => queries.invalidateQueries({ queryKey: FOLDERS }),
  });
}

export function useDeleteFolder() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api.delete(`/chat/folders/${id}`),
    onSuccess: () => {
      void queries.invalidateQueries({ queryKey: FOLDERS });
      void queries.invalidateQueries({ queryKey: ["conversations"] });
    },
  });
}

export const useSavedPrompts = () =>
  useQuery({ queryKey: PROMPTS, queryFn: () => api.get<SavedPrompt[]>("/chat/prompts") });

export function useSavePrompt() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ id, ...prompt }: { id?: string; name: string; text: string }) =>
      id === undefined
        ? api.post<SavedPrompt>("/chat/prompts", prompt)
        : api.put<SavedPrompt>(`/chat/prompts/${id}`, prompt),
    onSuccess: () => queries.invalidateQueries({ queryKey: PROMPTS }),
  });
}

export function useDeletePrompt() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api.delete(`/chat/prompts/${id}`),
    onSuccess: () => queries.invalidateQueries({ queryKey: PROMPTS }),
  });
}

/** A prompt that can be put into the question: a saved one, or the newest version of a template of the prompt lab. */
export interface Offered {
  name: string;
  /** Of a template it is read when it is chosen. */
  text: string | null;
}

/** All prompts, saved ones first; asked for once a slash is typed. */
export function useOffered(wanted: boolean): Offered[] {
  const saved = useQuery({
    queryKey: PROMPTS,
    queryFn: () => api.get<SavedPrompt[]>("/chat/prompts"),
    enabled: wanted,
  }).data;
  const templates = useQuery({
    queryKey: ["promptlab", "names"],
    queryFn: () => api.get<{ name: string }[]>("/promptlab/templates"),
    enabled: wanted,
  }).data;
  const own = (saved ?? []).map(({ name, text }): Offered => ({ name, text }));
  const names = new Set(own.map(({ name }) => name));
  return [
    ...own,
    ...(templates ?? []).filter(({ name }) => !names.has(name)).map(({ name }) => ({ name, text: null })),
  ];
}

export async function textOf({ name, text }: Offered): Promise<string> {
  if (text !== null) return text;
  const versions = await api.get<{ template: { user: string } }[]>(`/promptlab/templates/${encodeURIComponent(name)}`);
  return versions.at(-1)?.template.user ?? "";
}

const PLACE = /\{\{\s*([^\W\d]\w{0,39}|[\p{L}_][\p{L}\p{N}_]{0,39})\s*\}\}/gu;

/** The names between double braces, in their order. */
export const placesOf = (text: string): string[] => [
  ...new Set([...text.matchAll(PLACE)].map((found) => found[1] ?? "")),
];

export const filled = (text: string, values: Record<string, string>): string =>
  text.replace(PLACE, (whole, name: string) => values[name] ?? whole);
