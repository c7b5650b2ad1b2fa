import { PackageCheck } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/apps/:name?", () => import("./AppsPage"))],
  nav: { href: "/apps", label: "apps.title", icon: PackageCheck, group: "use", order: 40 },
  strings,
};
