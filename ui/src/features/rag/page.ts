import { LibraryBig } from "lucide-react";
import { finder, route, type WorkbenchPage } from "@/lib/page";
import { kbsQuery } from "@/lib/queries";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [
    route("/knowledge", () => import("./KnowledgePage")),
    route("/knowledge/:kb", () => import("./KbPage"), "kb"),
    route("/knowledge/:kb/documents/:doc", () => import("./DocumentPage"), "doc"),
  ],
  nav: { href: "/knowledge", label: "rag.title", icon: LibraryBig, group: "use", order: 20 },
  strings,
  finders: [
    finder(LibraryBig, kbsQuery, (list) =>
      list.map(({ id, name }) => ({ id: `kb-${id}`, label: name, href: `/knowledge/${id}` })),
    ),
  ],
};
