import { Settings2 } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/settings", () => import("./SettingsPage"))],
  nav: { href: "/settings", label: "settings.title", icon: Settings2, group: "keep", order: 20 },
  strings,
};
