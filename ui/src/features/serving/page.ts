import { FlaskConical } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/playground", () => import("./PlaygroundPage"))],
  nav: { href: "/playground", label: "play.title", icon: FlaskConical, group: "run", order: 20 },
  strings,
};
