import { describe, expect, it } from "vitest";
import { HOME, PAGES } from "@/app/pages";
import { TASK_PAGES } from "@/features/roadmap/pageOf";

describe("pages", () => {
  it("are all the folders of features", () => {
    const folders = new Set(Object.keys(import.meta.glob("/src/features/*/*.*")).map((path) => path.split("/")[3]));
    expect(PAGES).toHaveLength(folders.size);
  });

  it("stand in the order of their groups, home first and the roadmap before the jobs", () => {
    const menu = PAGES.map(({ nav }) => nav.href);
    expect(menu[0]).toBe(HOME);
    expect(menu.indexOf("/roadmap")).toBeLessThan(menu.indexOf("/jobs"));
    expect(new Set(PAGES.map(({ nav }) => `${nav.group} ${nav.order}`)).size).toBe(PAGES.length);
  });

  it("have addresses of their own, and a menu entry that leads to one of them", () => {
    const paths = PAGES.flatMap(({ routes }) => routes.map(({ path }) => path));
    expect(new Set(paths).size).toBe(paths.length);
    for (const { nav, routes } of PAGES) {
      expect(routes.map(({ path }) => path.replace(/\/:\w+\?$/, ""))).toContain(nav.href);
    }
  });

  it("are there for every task of the roadmap that leads to one", () => {
    const paths = PAGES.flatMap(({ routes }) => routes.map(({ path }) => path));
    const leads = (href: string) =>
      paths.some(
        (path) =>
          path === href ||
          path.replace(/\/:\w+\?$/, "") === href.replace(/\/[^/]+$/, "") ||
          path.replace(/\/:\w+\?$/, "") === href,
      );
    expect(Object.values(TASK_PAGES).filter((href) => !leads(href))).toEqual([]);
  });

  it("share no letter between their commands", () => {
    const letters = PAGES.flatMap(({ commands }) => commands ?? []).flatMap(({ key }) => key ?? []);
    expect(new Set(letters).size).toBe(letters.length);
    for (const letter of letters) expect(letter).toMatch(/^[a-z]$/);
  });

  it("stand under a page of the first level and of their own group", () => {
    for (const { nav } of PAGES.filter(({ nav }) => nav.under !== undefined)) {
      const above = PAGES.find(({ nav: { href } }) => href === nav.under)?.nav;
      expect([nav.href, above?.group, above?.under]).toEqual([nav.href, nav.group, undefined]);
    }
  });
});
