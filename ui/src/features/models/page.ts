import { Box } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/models/:name?", () => import("./ModelsPage"))],
  nav: { href: "/models", label: "models.title", icon: Box, group: "run", order: 10 },
  strings,
};
