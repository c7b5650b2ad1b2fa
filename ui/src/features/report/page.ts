import { ChartColumn } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [
    route("/report/made/:id", () => import("./MadePage"), "id"),
    route("/report/:source?", () => import("./ReportPage"), "source"),
  ],
  nav: { href: "/report", label: "report.title", icon: ChartColumn, group: "use", order: 50, under: "/apps" },
  strings,
};
