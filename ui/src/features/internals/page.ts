import { Microscope } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { liveStrings } from "./liveStrings";
import { strings } from "./strings";

type Words = typeof strings & typeof liveStrings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [
    route("/internals/papers/:paper?", () => import("./PapersPage")),
    route("/internals/live", () => import("./LivePage")),
    route("/internals/:task?", () => import("./InternalsPage")),
  ],
  nav: { href: "/internals", label: "internals.title", icon: Microscope, group: "learn", order: 30 },
  strings: { ...strings, ...liveStrings },
};
