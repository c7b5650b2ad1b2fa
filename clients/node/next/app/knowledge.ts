// Zhilu's knowledge bases: read, split and embedded there, found by meaning and by words.
import { key, url } from "./zhilu";

interface Passage {
  doc_name: string;
  text: string;
}

const KBS = `${url.replace(/\/v1\/?$/, "")}/zhilu/v1/kbs`;

async function asked<T>(path: string, given?: RequestInit): Promise<T> {
  const headers = { Authorization: `Bearer ${key}`, "Content-Type": "application/json" };
  const response = await fetch(KBS + path, { headers, cache: "no-store", ...given });
  if (!response.ok) throw new Error(`The knowledge base answers ${response.status}`);
  return (await response.json()) as T;
}

export async function passages(name: string, query: string): Promise<Passage[]> {
  const base = (await asked<{ id: string; name: string }[]>("")).find((one) => one.name === name || one.id === name);
  if (!base) throw new Error(`There is no knowledge base called ${name}.`);
  const body = JSON.stringify({ query, k: 4 });
  return (await asked<{ hits: Passage[] }>(`/${base.id}/search`, { method: "POST", body })).hits;
}
