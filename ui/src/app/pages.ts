/** The pages of the workbench, found in their folders (see `lib/page.ts`), in the order of the menu. */
import { addStrings } from "@/lib/i18n";
import { GROUPS, type WorkbenchPage } from "@/lib/page";

const found = import.meta.glob<WorkbenchPage>("/src/features/*/page.ts", { eager: true, import: "page" });

const place = ({ nav }: WorkbenchPage): number => GROUPS.indexOf(nav.group) * 1_000 + nav.order;

/** The pages by the name of their folder. */
export const PAGE_OF: Readonly<Record<string, WorkbenchPage>> = Object.fromEntries(
  Object.entries(found).map(([path, page]) => [path.split("/").at(-2), page]),
);

export const PAGES: readonly WorkbenchPage[] = Object.values(PAGE_OF).sort((a, b) => place(a) - place(b));
PAGES.forEach(({ strings }) => addStrings(strings));

/** Those of the menu's first level: what the number keys lead to. */
export const MENU: readonly WorkbenchPage[] = PAGES.filter(({ nav }) => nav.under === undefined);

/** Where `/` leads: the first page of the menu. */
export const HOME = PAGES[0]?.nav.href ?? "/settings";
