import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { api } from "@/lib/api";
import { acceptJob, isActive } from "@/lib/jobs";
import { useJobs } from "@/lib/queries";
import type { DoctorReport, Evidence, Job, Roadmap } from "@/lib/types";

export function useRoadmap() {
  return useQuery({ queryKey: ["roadmap"], queryFn: ({ signal }) => api.get<Roadmap>("/roadmap", signal) });
}

export function useEvidence(task: string) {
  return useQuery({
    queryKey: ["evidence", task],
    queryFn: ({ signal }) => api.get<Evidence[]>(`/evidence/${task}`, signal),
  });
}

export function useCheck() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: (tasks: string[]) => api.post<Job>("/roadmap/check", { tasks }),
    onSuccess: (job) => acceptJob(queries, job),
  });
}

export type Checking = "now" | "waiting";

/** Tasks whose gates are running or in line: a check job names the one at work in `detail`. */
export function useChecking(): Map<string, Checking> {
  const jobs = (useJobs().data ?? []).filter((job) => job.kind === "check" && isActive(job));
  const out = new Map<string, Checking>();
  for (const job of jobs) {
    const tasks = (job.params.tasks ?? []) as string[];
    const at = job.status === "running" ? tasks.indexOf(job.detail ?? "") : -1;
    tasks.forEach((task, index) => {
      if (index === at) out.set(task, "now");
      else if (index > at && !out.has(task)) out.set(task, "waiting");
    });
  }
  return out;
}

export function useDoctor() {
  return useQuery({
    queryKey: ["doctor"],
    queryFn: ({ signal }) => api.get<DoctorReport>("/doctor", signal),
    staleTime: Infinity,
  });
}

export function useDoctorAgain() {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: () => api.get<DoctorReport>("/doctor?refresh=true"),
    onSuccess: (report) => queries.setQueryData(["doctor"], report),
  });
}
