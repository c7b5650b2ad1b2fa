import { FlaskRound } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/prompts/:name?", () => import("./PromptLabPage"))],
  nav: { href: "/prompts", label: "prompts.title", icon: FlaskRound, group: "use", order: 60 },
  strings,
};
