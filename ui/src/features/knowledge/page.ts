import { Building2 } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [
    route("/enterprise/signed-in", () => import("./SignedIn")),
    route("/enterprise/:tab?", () => import("./EnterprisePage"), "tab"),
  ],
  nav: { href: "/enterprise", label: "know.title", icon: Building2, group: "use", order: 57, under: "/apps" },
  strings,
};
