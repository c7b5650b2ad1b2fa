import { Waypoints } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/agents", () => import("./AgentsPage")), route("/agents/:id", () => import("./RunPage"), "id")],
  nav: { href: "/agents", label: "agents.title", icon: Waypoints, group: "use", order: 30 },
  strings,
};
