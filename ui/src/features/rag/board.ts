/** The scoreboard's wire: question sets and runs of a knowledge base. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api";
import { acceptJob, isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import type {
  BoardComparison,
  BoardQuestion,
  BoardRun,
  BoardRunDetail,
  BoardSetup,
  Job,
  KnowledgeBase,
  QuestionList,
} from "@/lib/types";

export function useQuestions(kb: string) {
  return useQuery({
    queryKey: ["board-questions", kb],
    queryFn: ({ signal }) => api.get<QuestionList>(`/kbs/${kb}/questions`, signal),
  });
}

export function useRuns(kb: string) {
  return useQuery({
    queryKey: ["board-runs", kb],
    queryFn: ({ signal }) => api.get<BoardRun[]>(`/kbs/${kb}/runs`, signal),
  });
}

export function useRun(kb: string, id: string) {
  return useQuery({
    queryKey: ["board-runs", kb, id],
    queryFn: ({ signal }) => api.get<BoardRunDetail>(`/kbs/${kb}/runs/${id}`, signal),
  });
}

export function useComparison(kb: string, a: string, b: string) {
  return useQuery({
    queryKey: ["board-runs", kb, a, b],
    queryFn: ({ signal }) => api.get<BoardComparison>(`/kbs/${kb}/runs/compare?a=${a}&b=${b}`, signal),
  });
}

/** What is being made or measured for this knowledge base now. */
export function useBoardJobs(kb: KnowledgeBase): Job[] {
  const jobs = useJobs().data ?? [];
  const ours = jobs.filter((job) => ["questions", "evaluation"].includes(job.kind) && job.params.kb === kb.id);
  return ours.filter((job, index) => isActive(job) || (index === 0 && job.status === "failed"));
}

/** A change to the question set; `done` sees the answer. */
export function useQuestionAct(kb: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (act: () => Promise<unknown>) => act(),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["board-questions", kb] }),
  });
}

export const acts = {
  accept: (kb: string, ids: string[]) => () => api.post(`/kbs/${kb}/questions/accept`, { ids }),
  remove: (kb: string, id: string) => () => api.delete(`/kbs/${kb}/questions/${id}`),
  change: (kb: string, id: string, change: Partial<BoardQuestion>) => () =>
    api.patch(`/kbs/${kb}/questions/${id}`, change),
  add: (kb: string, question: string, answers: string[]) => () =>
    api.post(`/kbs/${kb}/questions`, { question, answers }),
  take: (kb: string, jsonl: string) => () => api.post(`/kbs/${kb}/questions/import`, { jsonl }),
};

export function useBoardJob(kb: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (work: { make: number } | { setups: BoardSetup[] }) =>
      "make" in work
        ? api.post<Job>(`/kbs/${kb}/questions/make`, { count: work.make })
        : api.post<Job>(`/kbs/${kb}/runs`, work),
    onSuccess: (job) => acceptJob(queries, job),
  });
}

/** `passages=2 draft=true` as a configuration; the server refuses what it does not know, by name. */
export function readSetup(text: string): BoardSetup {
  const pairs = text.split(/\s+/).filter(Boolean);
  return Object.fromEntries(
    pairs.map((pair) => {
      const [key = "", value = ""] = pair.split("=", 2);
      const said = value === "true" ? true : value === "false" ? false : value;
      return [key, typeof said === "string" && said !== "" && !isNaN(Number(said)) ? Number(said) : said];
    }),
  );
}

/** A configuration in words: what differs from how things are. */
export function saidSetup(setup: BoardSetup): string {
  return Object.entries(setup)
    .map(([key, value]) => `${key}=${String(value)}`)
    .join(" ");
}
