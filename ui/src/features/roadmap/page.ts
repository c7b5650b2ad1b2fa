import { Route } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/roadmap/:task?", () => import("./RoadmapPage"))],
  nav: { href: "/roadmap", label: "roadmap.title", icon: Route, group: "learn", order: 10 },
  strings,
};
