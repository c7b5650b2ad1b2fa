import { Wrench } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/tuning/:name?", () => import("./TuningPage"))],
  nav: { href: "/tuning", label: "tune.title", icon: Wrench, group: "run", order: 30 },
  strings,
};
