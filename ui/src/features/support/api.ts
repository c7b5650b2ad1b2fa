import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { api, ApiError, stream } from "@/lib/api";
import type { components } from "@/lib/api.gen";

type Schemas = components["schemas"];
type Sent<Name extends keyof Schemas> = Required<Schemas[Name]>;
export type Desk = Schemas["Desk"] & { settings: Sent<"DeskSettings"> };
export type DeskSettings = Sent<"DeskSettings">;
export type Faq = Schemas["FaqEntry"];
export type FaqWish = Schemas["FaqWish"];
export type FaqCandidate = Schemas["FaqCandidate"];
export type Orders = Schemas["OrdersInfo"] & { chosen: Sent<"OrderColumns"> };
export type Figures = Schemas["DeskFigures"];
export type Contact = Sent<"SupportContact">;
export type Line = Schemas["SupportLine"];
export type WidgetLine = Sent<"WidgetLine">;
export type WidgetContact = Schemas["WidgetContact"];

const at = (desk: string) => `/support/desks/${encodeURIComponent(desk)}`;

export function useDesks() {
  return useQuery({
    queryKey: ["support", "desks"],
    queryFn: ({ signal }) => api.get<Desk[]>("/support/desks", signal),
  });
}

export function useFaqs(desk: string) {
  return useQuery({
    queryKey: ["support", desk, "faqs"],
    queryFn: ({ signal }) => api.get<Faq[]>(`${at(desk)}/faqs`, signal),
  });
}

export function useOrders(desk: string) {
  return useQuery({
    queryKey: ["support", desk, "orders"],
    queryFn: ({ signal }) => api.get<Orders | null>(`${at(desk)}/orders`, signal),
  });
}

export function useFigures(desk: string) {
  return useQuery({
    queryKey: ["support", desk, "figures"],
    queryFn: ({ signal }) => api.get<Figures>(`${at(desk)}/figures`, signal),
    refetchInterval: 10_000,
  });
}

/** The conversations of the page, asked for again after every change. */
export function useContacts(desk?: string) {
  return useQuery({
    queryKey: ["support", "contacts", desk ?? ""],
    queryFn: ({ signal }) =>
      api.get<Contact[]>(`/support/contacts${desk ? `?desk=${encodeURIComponent(desk)}` : ""}`, signal),
  });
}

/** Something that changes desks or conversations: everything of the page is asked for anew. */
export function useChange<Input, Output>(change: (input: Input) => Promise<Output>) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: change,
    onSettled: () => queries.invalidateQueries({ queryKey: ["support"] }),
  });
}

/** A desk of one's own, or (null) the sample shop with a knowledge base of its documents. */
export async function createDesk(name: string | null): Promise<Desk> {
  if (name !== null) return api.post<Desk>("/support/desks", { name });
  const desk = await api.post<Desk>("/support/desks/sample");
  const documents = await api.get<Schemas["SampleDocument"][]>("/support/desks/sample/documents");
  try {
    const kb = await api.post<{ id: string }>("/kbs", { name: desk.name });
    const form = new FormData();
    documents.forEach((one) => form.append("files", new Blob([one.text], { type: "text/markdown" }), one.name));
    await api.post(`/kbs/${kb.id}/documents`, form);
    return await changeDesk(desk.id)({ kb_id: kb.id } as Schemas["DeskChanges"]);
  } catch (error) {
    // A knowledge base of that name may be there from before: the desk works without, and one is chosen in its settings.
    if (error instanceof ApiError) return desk;
    throw error;
  }
}
export const changeDesk = (desk: string) => (changes: Schemas["DeskChanges"]) => api.patch<Desk>(at(desk), changes);
export const removeDesk = (desk: string) => api.delete(at(desk));
export const saveFaq = (desk: string) => (faq: { id: string | null } & FaqWish) => {
  const { id, ...wish } = faq;
  return id === null
    ? api.post<Faq>(`${at(desk)}/faqs`, wish)
    : api.put<Faq>(`${at(desk)}/faqs/${encodeURIComponent(id)}`, wish);
};
export const removeFaq = (desk: string) => (id: string) => api.delete(`${at(desk)}/faqs/${encodeURIComponent(id)}`);
export const matchFaqs = (desk: string) => (question: string) =>
  api.post<FaqCandidate[]>(`${at(desk)}/faqs/match`, { question });
export const putOrders = (desk: string) => (file: File) => {
  const form = new FormData();
  form.append("file", file);
  return api.put<Orders>(`${at(desk)}/orders`, form);
};
export const showColumns = (desk: string) => (shown: string[]) => api.patch<Orders>(`${at(desk)}/orders`, { shown });
export const removeOrders = (desk: string) => api.delete(`${at(desk)}/orders`);

const of = (id: string) => `/support/contacts/${encodeURIComponent(id)}`;
export const takeContact = ({ id, agent }: { id: string; agent: string }) =>
  api.post<Contact>(`${of(id)}/take`, { agent });
export const replyTo = ({ id, text }: { id: string; text: string }) => api.post<Line>(`${of(id)}/reply`, { text });
export const endContact = (id: string) => api.post<Contact>(`${of(id)}/close`);

type QueueEvent = { event: "queue"; data: { contacts: Contact[] } };
type LineEvent = { event: "line"; data: Line };
type WidgetEvent = { event: "line"; data: WidgetLine };

/** Runs a stream while `key` stays the same, and begins it again where it breaks off. */
function useStream<E extends { event: string; data: unknown }>(
  key: string,
  open: (signal: AbortSignal) => AsyncIterable<E>,
  take: (event: E) => void,
) {
  useEffect(() => {
    if (!key) return;
    const control = new AbortController();
    const run = async () => {
      while (!control.signal.aborted) {
        try {
          for await (const event of open(control.signal)) take(event);
        } catch {
          if (control.signal.aborted) return;
        }
        await new Promise((done) => setTimeout(done, 2_000));
      }
    };
    void run();
    return () => control.abort();
    // `open` and `take` belong to the key.
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, [key]);
}

/** Who waits and who is with a person, live; null until it is known. */
export function useQueue(): Contact[] | null {
  const [queue, setQueue] = useState<Contact[] | null>(null);
  useStream<QueueEvent>(
    "queue",
    (signal) => stream("/support/contacts/events", signal),
    ({ data }) => setQueue(data.contacts),
  );
  return queue;
}

const add = <L extends { id: number }>(lines: readonly L[], line: L): L[] =>
  lines.some(({ id }) => id === line.id) ? [...lines] : [...lines, line].sort((a, b) => a.id - b.id);

/** The lines of one conversation, live. */
export function useHistory(id: string): Line[] {
  const [lines, setLines] = useState<Line[]>([]);
  useStream<LineEvent>(
    id,
    (signal) => stream(`${of(id)}/events`, signal),
    ({ data }) => setLines((old) => add(old, data)),
  );
  return lines;
}

export interface Mine {
  id: string;
  secret: string;
}

const customers = (desk: string) => `/support/widget/${encodeURIComponent(desk)}`;
const secretOf = (mine: Mine) => ({ "X-Zhilu-Contact": mine.secret });
export const openContact = (desk: string) => api.post<Mine & { greeting: string }>(`${customers(desk)}/contacts`);
export const getWidgetDesk = (desk: string, signal: AbortSignal) =>
  api.get<Schemas["WidgetDesk"]>(`${customers(desk)}/desk`, signal);
export const sayAs = (desk: string, mine: Mine, text: string) =>
  api.post<WidgetContact>(`${customers(desk)}/contacts/${mine.id}/messages`, { text }, secretOf(mine));
export const endAs = (desk: string, mine: Mine) =>
  api.post<WidgetContact>(`${customers(desk)}/contacts/${mine.id}/close`, undefined, secretOf(mine));
export const rateAs = (desk: string, mine: Mine, rating: number) =>
  api.post<WidgetContact>(`${customers(desk)}/contacts/${mine.id}/rating`, { rating }, secretOf(mine));

/** What a customer sees of a conversation, live. */
export function useCustomerLines(desk: string, mine: Mine | null): WidgetLine[] {
  const [lines, setLines] = useState<WidgetLine[]>([]);
  useStream<WidgetEvent>(
    mine?.id ?? "",
    (signal) =>
      stream(`${customers(desk)}/contacts/${mine?.id ?? ""}/events`, signal, undefined, mine ? secretOf(mine) : {}),
    ({ data }) => setLines((old) => add(old, data)),
  );
  return lines;
}
