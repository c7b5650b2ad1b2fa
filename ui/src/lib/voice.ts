/** Speech in and out, as the gateway has it (`zhilu media`). */
import { useQuery } from "@tanstack/react-query";
import type { components } from "./api.gen";
import { api, openaiPost, refusal } from "./api";

type Schemas = components["schemas"];
export type Ability = Schemas["Ability"];

export interface Speech {
  input: string;
  voice?: string;
  speed: number;
}

/** What can be done here, and what is missing else. */
export const useMedia = () =>
  useQuery({
    queryKey: ["media-state"],
    queryFn: ({ signal }) => api.get<Schemas["MediaState"]>("/media", signal),
  });

/** The sound as the address of a file; revoke it after use. */
export async function speak(speech: Speech, signal: AbortSignal): Promise<string> {
  const response = await openaiPost("/audio/speech", JSON.stringify(speech), signal);
  if (!response.ok) throw refusal(response, await response.text());
  return URL.createObjectURL(await response.blob());
}

/** What was said in a sound. */
export async function transcribe(file: File, signal: AbortSignal): Promise<string> {
  const form = new FormData();
  form.set("file", file);
  form.set("model", "default");
  const response = await openaiPost("/audio/transcriptions", form, signal);
  const text = await response.text();
  if (!response.ok) throw refusal(response, text);
  return (JSON.parse(text) as { text: string }).text;
}
