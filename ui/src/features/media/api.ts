import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import type { components } from "@/lib/api.gen";
import { api } from "@/lib/api";
import { acceptJob } from "@/lib/jobs";
import type { Job } from "@/lib/types";

type Schemas = components["schemas"];
export type Recording = Schemas["Recording"];
export type RecordingText = Schemas["RecordingText"];
export type Segment = Schemas["Segment"];
export type PictureAnswer = Schemas["PictureAnswer"];

const at = (id: string) => `/media/recordings/${encodeURIComponent(id)}`;
export const soundOf = (id: string) => `${at(id)}/sound`;
export const subtitlesOf = (id: string, format: "srt" | "text") => `${at(id)}/subtitles?format=${format}`;

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

export const useLook = () =>
  useMutation({
    mutationFn: ({ file, question }: { file: File; question: string }) => {
      const form = new FormData();
      form.set("file", file);
      form.set("question", question);
      return api.post<PictureAnswer>("/media/look", form);
    },
  });
