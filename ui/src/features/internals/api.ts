import { useMutation, useQuery, useQueryClient, type UseQueryResult } from "@tanstack/react-query";
import { api } from "@/lib/api";
import type { components } from "@/lib/api.gen";
import { acceptJob } from "@/lib/jobs";
import type { Job } from "@/lib/types";

type Schemas = components["schemas"];
export type Lesson = Schemas["LessonOut"];
export type Result = Schemas["Result"];
export type Paper = Schemas["PaperOut"];
export type Chart = Schemas["Chart"];
export type Grid = Schemas["Grid"];
export type Table = Schemas["Table"];
export type Timeline = Schemas["Timeline"];

export function useLessons(): UseQueryResult<Lesson[]> {
  return useQuery({
    queryKey: ["internals"],
    queryFn: ({ signal }) => api.get<Lesson[]>("/internals", signal),
  });
}

export function usePapers(): UseQueryResult<Paper[]> {
  return useQuery({
    queryKey: ["internals", "papers"],
    queryFn: ({ signal }) => api.get<Paper[]>("/internals/papers", signal),
  });
}

/** Measures a paper's figure, as a job like a lesson's. */
export function useFigure(name: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => api.post<Job>(`/internals/papers/${name}/run`, {}),
    onSuccess: (job) => acceptJob(queries, job),
  });
}

/** Starts a run as a job; the lessons are asked for anew when it ends (see `lib/jobs`). */
export function useRun(task: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (guess: number | null) => api.post<Job>(`/internals/${task}/run`, { guess }),
    onSuccess: (job) => acceptJob(queries, job),
  });
}
