/**
 * A page of the workbench, told by its own folder: `features/X/page.ts` exports `page`, and the frame finds it. There
 * is no list of pages anywhere else: menu, addresses, palette, number keys and words all come from these files.
 */
import type { UseQueryOptions } from "@tanstack/react-query";
import type { LucideIcon } from "lucide-react";
import { lazy, type ComponentType } from "react";
import type { StringRouteParams } from "wouter";
import type { Key } from "./i18n";
import type { Text } from "./types";

/** The parts of the menu, in its order: what one works with, what runs it, what one learns, what keeps it going. */
export const GROUPS = ["use", "run", "learn", "keep"] as const;
export type Group = (typeof GROUPS)[number];

/** Something to go to by name: an entry of the palette. */
export interface Place {
  id: string;
  label: string;
  href: string;
}

export interface Command {
  label: Key;
  icon: LucideIcon;
  href: string;
  /** A letter that does it from anywhere but a text field. */
  key?: string;
}

export interface PageRoute {
  path: string;
  component: ComponentType<Record<string, string | undefined>>;
  /** The parameter that makes another page of it: when it changes, nothing of the old page's state stays. */
  keyed: string | undefined;
}

export interface Finder {
  query: UseQueryOptions<unknown>;
  places: (data: unknown) => Place[];
  icon: LucideIcon;
}

export interface WorkbenchPage {
  routes: readonly PageRoute[];
  nav: {
    href: string;
    label: Key;
    icon: LucideIcon;
    group: Group;
    /** The place within the group, counted in tens so that another can come between. */
    order: number;
    /** The address of the entry that it stands under: shown while one is there, or at another that stands under it. */
    under?: string;
    /** What stands at the end of the entry, such as a count. */
    Mark?: ComponentType;
  };
  /** The page's own words; a `declare module "@/lib/i18n"` beside them makes their keys known to `t`. */
  strings: Record<string, Text>;
  commands?: readonly Command[];
  finders?: readonly Finder[];
}

/** An address and the component that is loaded when one goes there; the address's parameters are its props. */
export function route<Path extends string>(
  path: Path,
  load: () => Promise<{ default: ComponentType<StringRouteParams<Path>> }>,
  keyed?: keyof StringRouteParams<Path> & string,
): PageRoute {
  return { path, component: lazy(load) as unknown as PageRoute["component"], keyed };
}

/** Places of the palette that the server knows: conversations, knowledge bases and the like. */
export function finder<Data>(
  icon: LucideIcon,
  query: UseQueryOptions<Data, Error, Data, string[]>,
  places: (data: Data) => Place[],
): Finder {
  return { icon, query: query as unknown as UseQueryOptions<unknown>, places: places as Finder["places"] };
}
