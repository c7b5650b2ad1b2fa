import { ScrollText } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/longtext/:id?", () => import("./LongtextPage"))],
  nav: { href: "/longtext", label: "longtext.title", icon: ScrollText, group: "use", order: 65 },
  strings,
};
