/** The models that a request may name: those of the store, those behind a URL, and adapters. */
import { useQuery } from "@tanstack/react-query";
import { openaiGet } from "@/lib/api";
import { useModels } from "@/lib/queries";
import type { Model, ModelState } from "@/lib/types";

/** An entry of `GET /v1/models`. */
export interface Served {
  id: string;
  state?: ModelState;
  owned_by?: string;
  parent?: string | null;
  max_model_len?: number;
}

export interface Offered {
  name: string;
  state: ModelState;
  engine: string | null;
  /** The model that an adapter belongs to. */
  parent: string | null;
}

/** `owned_by` of what is neither remote nor an adapter; embedders bear it too, and they answer no chat. */
const OURS = "zhilu";

export function offeredOf(store: readonly Model[], served: readonly Served[]): Offered[] {
  const byName = new Map(store.map((model) => [model.name, model]));
  const here = store
    .filter((model) => model.supported)
    .map(({ name, state, engine }) => ({ name, state, engine, parent: null }));
  const others = served
    .filter(({ id, parent, owned_by }) => !byName.has(id) && (parent || (owned_by && owned_by !== OURS)))
    .map(({ id, state, owned_by, parent }) => ({
      name: id,
      state: state ?? byName.get(parent ?? "")?.state ?? "ready",
      engine: parent ? (byName.get(parent)?.engine ?? null) : (owned_by ?? null),
      parent: parent ?? null,
    }));
  return [...here, ...others];
}

export function useOffered(): { offered: Offered[] | undefined; error: unknown; refetch: () => void } {
  const store = useModels();
  const served = useQuery({
    queryKey: ["models", "served"],
    queryFn: async ({ signal }) => (await openaiGet<{ data: Served[] }>("/models", signal)).data,
    refetchInterval: 5_000,
  });
  return {
    offered: store.data && offeredOf(store.data, served.data ?? []),
    error: store.error,
    refetch: () => void store.refetch(),
  };
}
