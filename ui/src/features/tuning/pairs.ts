import { useEffect } from "react";
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api";
import { acceptJob } from "@/lib/jobs";
import type { BoardQuestion, Dataset, Job, QuestionList } from "@/lib/types";

/** The question set of a knowledge base that training data is made of (tuning/data/made.py). */
const SET = "training";
const questions = (kb: string) => `/kbs/${encodeURIComponent(kb)}/questions`;
const key = (kb: string) => ["pairs", kb] as const;

export function usePairs(kb: string, growing: boolean) {
  const queries = useQueryClient();
  useEffect(() => {
    // What was made after the last look, when the job has ended.
    if (!growing) void queries.invalidateQueries({ queryKey: ["pairs", kb] });
  }, [growing, kb, queries]);
  return useQuery({
    queryKey: key(kb),
    enabled: !!kb,
    queryFn: async ({ signal }) => (await api.get<QuestionList>(`${questions(kb)}?set=${SET}`, signal)).questions,
    refetchInterval: growing ? 2_000 : false,
  });
}

export function useMakePairs(kb: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (count: number) =>
      api.post<Job>(`${questions(kb)}/make`, { count, set: SET, open_share: 0, closely: true }),
    onSuccess: (job) => acceptJob(queries, job),
  });
}

export type PairAct =
  | { kind: "accept"; ids: string[] }
  | { kind: "remove"; id: string }
  | { kind: "change"; id: string; question: string; answer: string };

export function usePairAct(kb: string) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (act: PairAct): Promise<unknown> => {
      if (act.kind === "accept") return api.post(`${questions(kb)}/accept`, { ids: act.ids });
      const one = `${questions(kb)}/${encodeURIComponent(act.id)}`;
      if (act.kind === "remove") return api.delete(one);
      return api.patch(one, { question: act.question, answers: [act.answer] });
    },
    onSettled: () => queries.invalidateQueries({ queryKey: key(kb) }),
  });
}

/** JSON lines of prompt and completion. */
export function asRows(pairs: readonly BoardQuestion[]): string {
  return pairs
    .map(({ question, answers }) => `${JSON.stringify({ prompt: question, completion: answers[0] })}\n`)
    .join("");
}

export function useSavePairs() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ name, rows }: { name: string; rows: string }) => {
      const form = new FormData();
      form.append("file", new File([rows], "pairs.jsonl"));
      form.append("name", name);
      const added = await api.post<Dataset>("/datasets", form);
      await api.post(`/datasets/${encodeURIComponent(added.name)}/check`, {});
    },
    onSettled: () => queries.invalidateQueries({ queryKey: ["datasets"] }),
  });
}
