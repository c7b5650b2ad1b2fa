import { AudioLines } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/media/:tab?", () => import("./MediaPage"))],
  nav: { href: "/media", label: "media.nav", icon: AudioLines, group: "use", order: 70 },
  strings,
};
