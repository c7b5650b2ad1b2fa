import { keepPreviousData, useMutation, useQuery, type UseQueryResult } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import type { components } from "@/lib/api.gen";
import { api, openaiPost, refusal } from "@/lib/api";

type Schemas = components["schemas"];
export type TokensOut = Schemas["TokensOut"];
export type AttentionOut = Schemas["AttentionOut"];
export type HeadScore = Schemas["HeadScore"];
export type OrderOut = Schemas["OrderOut"];
export type Architecture = Schemas["ArchitectureOut"];
export type HeadsOut = Schemas["HeadsOut"];
export type TreeOut = Schemas["TreeOut"];
export type StretchOut = Schemas["StretchOut"];
export type LogitsOut = Schemas["LogitsOut"];
export type Kind = Architecture["parts"][number]["kind"];

/** A value once it has rested: a view is computed when one stops typing, not at each letter. */
export function useRested<V>(value: V, ms = 250): V {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setRested(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return rested;
}

/** What a view shows for a question; the last picture stays until the next one comes. */
export function useView<R>(view: string, body: Record<string, unknown>, enabled = true): UseQueryResult<R> {
  return useQuery({
    queryKey: ["lens", view, body],
    queryFn: () => api.post<R>(`/lens/${view}`, body),
    enabled,
    placeholderData: keepPreviousData,
    staleTime: Infinity,
    retry: false,
  });
}

export interface Likely {
  text: string;
  probability: number;
}

/** What the running engine holds likeliest after a text: there within a second or two, long before the whole model is looked at. */
export function useLikely(model: string, text: string, chat: boolean, enabled: boolean): UseQueryResult<Likely[]> {
  return useQuery({
    queryKey: ["lens", "likely", model, text, chat],
    queryFn: async ({ signal }) => {
      const common = { model, max_tokens: 1, temperature: 0 };
      const [path, body] = chat
        ? ["/chat/completions", { messages: [{ role: "user", content: text }], logprobs: true, top_logprobs: 12 }]
        : ["/completions", { prompt: text, logprobs: 12, add_special_tokens: false }];
      const response = await openaiPost(path, JSON.stringify({ ...common, ...body }), signal);
      const said = await response.text();
      if (!response.ok) throw refusal(response, said);
      return likeliest(JSON.parse(said) as Scored);
    },
    enabled,
    staleTime: Infinity,
    retry: false,
  });
}

/** The first token's alternatives, as either endpoint writes them. */
export interface Scored {
  choices: {
    logprobs: {
      content?: { top_logprobs: { token: string; logprob: number }[] }[];
      top_logprobs?: Record<string, number>[];
    } | null;
  }[];
}

export function likeliest({ choices }: Scored): Likely[] {
  const told = choices[0]?.logprobs;
  const pairs = told?.content?.[0]?.top_logprobs ?? [];
  const named = Object.entries(told?.top_logprobs?.[0] ?? {}).map(([token, logprob]) => ({ token, logprob }));
  return [...pairs, ...named]
    .map(({ token, logprob }) => ({ text: token, probability: Math.exp(logprob) }))
    .sort((one, other) => other.probability - one.probability);
}

/** A prediction, judged from the live model and kept for the gate. */
export function usePredict<R>(view: string) {
  return useMutation({ mutationFn: (body: Record<string, unknown>) => api.post<R>(`/lens/${view}/predict`, body) });
}

export function useLanguages(model: string): UseQueryResult<Schemas["LanguagesOut"]> {
  return useQuery({
    queryKey: ["lens", "languages", model],
    queryFn: () => api.get<Schemas["LanguagesOut"]>(`/lens/languages?model=${encodeURIComponent(model)}`),
    enabled: model !== "",
    staleTime: Infinity,
    retry: false,
  });
}

export function useArchitecture(model: string): UseQueryResult<Architecture> {
  return useQuery({
    queryKey: ["lens", "architecture", model],
    queryFn: () => api.get<Architecture>(`/lens/architecture?model=${encodeURIComponent(model)}`),
    enabled: model !== "",
    staleTime: Infinity,
    retry: false,
  });
}

export function useWeights(model: string, name: string): UseQueryResult<Schemas["Histogram"]> {
  return useQuery({
    queryKey: ["lens", "weights", model, name],
    queryFn: () =>
      api.get<Schemas["Histogram"]>(
        `/lens/weights?model=${encodeURIComponent(model)}&name=${encodeURIComponent(name)}`,
      ),
    staleTime: Infinity,
    retry: false,
  });
}
