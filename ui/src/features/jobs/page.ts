import { Activity } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { RunningJobs } from "./RunningJobs";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/jobs/:id?", () => import("./JobsPage"))],
  nav: { href: "/jobs", label: "jobs.title", icon: Activity, group: "keep", order: 10, Mark: RunningJobs },
  strings,
};
