import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api";
import type { components } from "@/lib/api.gen";
import { acceptJob } from "@/lib/jobs";
import type { Job } from "@/lib/types";

type Schemas = components["schemas"];
export type Product = Schemas["ProductOut"];
export type Acceptance = Schemas["Acceptance"];

export const useProducts = () =>
  useQuery({ queryKey: ["apps"], queryFn: ({ signal }) => api.get<Product[]>("/apps", signal) });

export function useCheck() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (name: string) => api.post<Job>(`/apps/${encodeURIComponent(name)}/check`),
    onSuccess: (job) => acceptJob(queries, job),
  });
}
