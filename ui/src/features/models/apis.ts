/** What the page asks the server about the APIs of others. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api";
import type { Api, KnownApi, TestedApi } from "@/lib/types";

const at = (name: string) => `/apis/${encodeURIComponent(name)}`;

/** APIs that can be added by their name. */
export function useKnownApis() {
  return useQuery({
    queryKey: ["apis", "known"],
    queryFn: ({ signal }) => api.get<KnownApi[]>("/apis/known", signal),
    staleTime: Infinity,
  });
}

export interface NewApi {
  name: string;
  base_url?: string;
  api_key?: string;
  models?: string[];
}

function useRefresh() {
  const queries = useQueryClient();
  return () =>
    Promise.all([
      queries.invalidateQueries({ queryKey: ["apis"] }),
      queries.invalidateQueries({ queryKey: ["models", "served"] }),
    ]);
}

export function useAddApi() {
  const refresh = useRefresh();
  return useMutation({ mutationFn: (body: NewApi) => api.post<TestedApi>("/apis", body), onSuccess: refresh });
}

export function useTestApi() {
  return useMutation({ mutationFn: (name: string) => api.post<TestedApi>(`${at(name)}/test`) });
}

export function useChooseModels() {
  const refresh = useRefresh();
  return useMutation({
    mutationFn: ({ name, models }: { name: string; models: string[] }) =>
      api.put<Api>(`${at(name)}/models`, { models }),
    onSuccess: refresh,
  });
}

export function useRemoveApi() {
  const refresh = useRefresh();
  return useMutation({ mutationFn: (name: string) => api.delete(at(name)), onSuccess: refresh });
}
