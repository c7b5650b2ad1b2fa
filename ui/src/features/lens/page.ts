import { ScanEye } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/lens/:tab?", () => import("./LensPage"))],
  nav: { href: "/lens", label: "lens.title", icon: ScanEye, group: "learn", order: 20 },
  strings,
};
