import { CodeXml } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/coder/:repo?", () => import("./CoderPage"), "repo")],
  nav: { href: "/coder", label: "coder.title", icon: CodeXml, group: "use", order: 55, under: "/apps" },
  strings,
};
