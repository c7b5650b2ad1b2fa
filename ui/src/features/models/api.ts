import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api, ApiError, openaiGet, openaiPost, refusal } from "@/lib/api";
import { acceptJob } from "@/lib/jobs";
import type { Adapter, Elsewhere, HubModel, Job, MemoryNeed, Model, ModelDetails, Offer, Text } from "@/lib/types";
import { startBody, type AdapterLine, type StartOptions } from "./options";

const at = (name: string) => `/models/${encodeURIComponent(name)}`;

export function useModelDetails(name: string) {
  return useQuery({ queryKey: ["models", name], queryFn: ({ signal }) => api.get<ModelDetails>(at(name), signal) });
}

/** Why the model runs on the engine that it runs on; null while it does not run. */
export function useEngineReason(name: string, runs: boolean) {
  const { data } = useQuery({
    queryKey: ["models", "running"],
    queryFn: ({ signal }) => api.get<{ model: string; reason: Text }[]>("/engines/running", signal),
    enabled: runs,
  });
  return (runs && data?.find(({ model }) => model === name)?.reason) || null;
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
  /** `auto`: a model of the catalogue, from the first source that has it. */
  source: "auto" | "hf" | "modelscope";
  repo: string;
  revision?: string;
  name?: string;
  /** Of several GGUF files, the one to take. */
  file?: string;
}

/** Models by name, with what fits this machine. */
export function useCatalog() {
  return useQuery({ queryKey: ["catalog"], queryFn: ({ signal }) => api.get<Offer[]>("/catalog", signal) });
}

/** What Ollama and LM Studio have on this machine. */
export function useElsewhere(wanted: boolean) {
  return useQuery({
    queryKey: ["elsewhere"],
    queryFn: ({ signal }) => api.get<Elsewhere[]>("/catalog/elsewhere", signal),
    enabled: wanted,
  });
}

export type Format = "gguf" | "safetensors";

/** The hub's models of a format that match; refused with a 503 where the hub does not answer. */
export function useHubSearch(words: string, format: Format) {
  const query = new URLSearchParams({ q: words, format });
  return useQuery({
    queryKey: ["hub", words, format],
    queryFn: ({ signal }) => api.get<HubModel[]>(`/catalog/search?${query.toString()}`, signal),
    enabled: words !== "",
    retry: false,
  });
}

export function usePullModel() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (body: Pull) => api.post<Job>("/models/pull", body),
    onSuccess: (job) => {
      acceptJob(queries, job);
      return queries.invalidateQueries({ queryKey: ["catalog"] });
    },
  });
}

export interface Wish {
  engine: string;
  context: number | null;
  concurrency: number;
  precision: string | null;
}

/** What a start as wished would need in memory; null where nothing is loaded here, or the files do not tell. */
export function useMemoryNeed(name: string, wish: Wish) {
  const chosen = Object.entries(wish).filter(([, value]) => value !== null);
  const query = new URLSearchParams(chosen.map(([key, value]) => [key, String(value)]));
  return useQuery({
    queryKey: ["memory", name, wish],
    queryFn: ({ signal }) => api.get<MemoryNeed | null>(`${at(name)}/memory?${query.toString()}`, signal),
    placeholderData: (before) => before,
  });
}

/** LoRA adapters in the home, loaded or not. */
export function useAdapters() {
  return useQuery({ queryKey: ["adapters"], queryFn: ({ signal }) => api.get<Adapter[]>("/adapters", signal) });
}

/** The names under which the model's adapters are served. */
export function useLoadedAdapters(model: string) {
  return useQuery({
    queryKey: ["models", "loaded-adapters", model],
    queryFn: async ({ signal }) => {
      const { data } = await openaiGet<{ data: { id: string; parent?: string | null; root?: string }[] }>(
        "/models",
        signal,
      );
      return data.filter(({ parent }) => parent === model).map(({ id, root }) => ({ name: id, path: root ?? null }));
    },
  });
}

async function adapterCall(verb: "load" | "unload", body: Record<string, unknown>): Promise<void> {
  const response = await openaiPost(`/${verb}_lora_adapter`, JSON.stringify(body), new AbortController().signal);
  if (!response.ok) throw refusal(response, await response.text());
}

const load = (model: string, { name, path }: AdapterLine) =>
  adapterCall("load", { model, lora_name: name, lora_path: path });

export function useLoadAdapter(model: string) {
  const refresh = useRefresh();
  return useMutation({ mutationFn: (line: AdapterLine) => load(model, line), onSuccess: refresh });
}

export function useUnloadAdapter() {
  const refresh = useRefresh();
  return useMutation({ mutationFn: (name: string) => adapterCall("unload", { lora_name: name }), onSuccess: refresh });
}

/** Starts a model as chosen; one that runs is ended for it, by the server, once nothing speaks against the new start. */
export function useStartWith(model: string) {
  const refresh = useRefresh();
  return useMutation({
    mutationFn: async ({ options, isRemote, runs }: { options: StartOptions; isRemote: boolean; runs: boolean }) => {
      await api.post(`${at(model)}/start`, startBody(options, isRemote, runs));
    },
    onSettled: refresh,
  });
}
