import { MessageCircle, SquarePen } from "lucide-react";
import { finder, route, type WorkbenchPage } from "@/lib/page";
import { conversationsQuery } from "@/lib/queries";
import { strings } from "./strings";

type Words = typeof strings;
declare module "@/lib/i18n" {
  interface Strings extends Words {}
}

export const page: WorkbenchPage = {
  routes: [route("/chat/:id?", () => import("./ChatPage"))],
  nav: { href: "/chat", label: "chat.title", icon: MessageCircle, group: "use", order: 10 },
  strings,
  commands: [{ label: "chat.new", icon: SquarePen, href: "/chat", key: "n" }],
  finders: [
    finder(MessageCircle, conversationsQuery, (list) =>
      list.map(({ id, title }) => ({ id: `chat-${id}`, label: title, href: `/chat/${id}` })),
    ),
  ],
};
