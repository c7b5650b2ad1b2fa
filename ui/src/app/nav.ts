import {
  Activity,
  Box,
  FlaskConical,
  LibraryBig,
  MessageCircle,
  Route,
  Settings2,
  type LucideIcon,
} from "lucide-react";
import type { Key } from "@/lib/i18n";

/** The pages of the menu, in its order: the menu, the palette and the number keys all read this list. */
export const PAGES: readonly { href: string; label: Key; icon: LucideIcon }[] = [
  { href: "/chat", label: "nav.chat", icon: MessageCircle },
  { href: "/knowledge", label: "nav.knowledge", icon: LibraryBig },
  { href: "/models", label: "nav.models", icon: Box },
  { href: "/playground", label: "nav.playground", icon: FlaskConical },
  { href: "/jobs", label: "nav.jobs", icon: Activity },
  { href: "/roadmap", label: "nav.roadmap", icon: Route },
  { href: "/settings", label: "nav.settings", icon: Settings2 },
];
