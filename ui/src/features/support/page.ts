import { Headset } from "lucide-react";
import { route, type WorkbenchPage } from "@/lib/page";
import { WaitingCount } from "./WaitingCount";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [
    route("/support/queue/:id?", () => import("./QueuePage"), "id"),
    route("/support/:desk?", () => import("./SupportPage"), "desk"),
  ],
  nav: {
    href: "/support",
    label: "support.nav",
    icon: Headset,
    group: "use",
    order: 53,
    under: "/apps",
    Mark: WaitingCount,
  },
  strings,
};
