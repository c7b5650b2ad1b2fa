import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { components } from "@/lib/api.gen";
import { api, openaiPost, refusal } from "@/lib/api";
import { acceptJob } from "@/lib/jobs";
import type { Job } from "@/lib/types";

type Schemas = components["schemas"];
export type Ability = Schemas["Ability"];
export type Recording = Schemas["Recording"];
export type RecordingText = Schemas["RecordingText"];
export type Segment = Schemas["Segment"];
export type PictureAnswer = Schemas["PictureAnswer"];

const at = (id: string) => `/media/recordings/${encodeURIComponent(id)}`;
export const soundOf = (id: string) => `${at(id)}/sound`;
export const subtitlesOf = (id: string, format: "srt" | "text") => `${at(id)}/subtitles?format=${format}`;

/** What can be done here, and what is missing else. */
export const useMedia = () =>
  useQuery({
    queryKey: ["media-state"],
    queryFn: ({ signal }) => api.get<Schemas["MediaState"]>("/media", signal),
  });

export const useRecordings = () =>
  useQuery({
    queryKey: ["media", "recordings"],
    queryFn: ({ signal }) => api.get<Recording[]>("/media/recordings", signal),
  });

/** What was said grows while its job works: each move of the job asks anew (see `lib/jobs`). */
export const useRecording = (id: string) =>
  useQuery({
    queryKey: ["media", "recording", id],
    queryFn: ({ signal }) => api.get<RecordingText>(at(id), signal),
    enabled: id !== "",
    retry: false,
  });

/** Keeps a sound, and has it written down by a job; the recording is `params.id` of the job. */
export function useAddRecording() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: ({ file, language }: { file: File; language: string }) => {
      const form = new FormData();
      form.set("file", file);
      if (language) form.set("language", language);
      return api.post<Job>("/media/recordings", form);
    },
    onSuccess: (job) => {
      acceptJob(queries, job);
      return queries.invalidateQueries({ queryKey: ["media"] });
    },
  });
}

export function useDeleteRecording() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => api.delete(at(id)),
    onSuccess: () => queries.invalidateQueries({ queryKey: ["media", "recordings"] }),
  });
}

export interface Speech {
  input: string;
  voice?: string;
  speed: number;
}

/** The sound as the address of a file; revoke it after use. */
export async function speak(speech: Speech, signal: AbortSignal): Promise<string> {
  const response = await openaiPost("/audio/speech", JSON.stringify(speech), signal);
  if (!response.ok) throw refusal(response, await response.text());
  return URL.createObjectURL(await response.blob());
}

export const useLook = () =>
  useMutation({
    mutationFn: ({ file, question }: { file: File; question: string }) => {
      const form = new FormData();
      form.set("file", file);
      form.set("question", question);
      return api.post<PictureAnswer>("/media/look", form);
    },
  });
