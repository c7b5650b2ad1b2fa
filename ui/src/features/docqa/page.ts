import { FileQuestion } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/docqa", () => import("./StartPage")), route("/docqa/:kb", () => import("./DeskPage"), "kb")],
  nav: { href: "/docqa", label: "docqa.title", icon: FileQuestion, group: "use", order: 42, under: "/apps" },
  strings,
};
