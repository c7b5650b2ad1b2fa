import { describe, expect, it } from "vitest";
import { adaptersOf, PLAIN, problemOf, startBody, type StartOptions } from "./options";

const options = (change: Partial<StartOptions>): StartOptions => ({ ...PLAIN, ...change });

describe("startBody", () => {
  it("says nothing that was not chosen", () => {
    expect(startBody(PLAIN, false, false)).toEqual({});
  });

  it("says what was", () => {
    const chosen = options({ engine: "zhilu", context: 512, concurrency: 4, precision: "int8" });
    const body = { engine: "zhilu", max_len: 512, concurrency: 4, precision: "int8" };
    expect(startBody(chosen, false, false)).toEqual(body);
    expect(startBody(chosen, false, true)).toEqual({ ...body, restart: true });
  });

  it("names the adapters in the same request, so that a bad one is refused before anything is stopped", () => {
    const chosen = options({
      adapters: [
        { name: "a ", path: "/p" },
        { name: "", path: "" },
      ],
    });
    expect(startBody(chosen, false, true)).toEqual({ restart: true, loras: [{ name: "a", path: "/p" }] });
  });

  it("gives an engine behind a URL only what it can use", () => {
    const chosen = options({ engine: "openai", context: 512, baseUrl: " http://h/v1 ", apiKey: "k" });
    expect(startBody(chosen, true, false)).toEqual({ engine: "openai", base_url: "http://h/v1", api_key: "k" });
  });
});

describe("problemOf", () => {
  it.each([
    [{}, false, null],
    [{ baseUrl: "" }, true, "models.needUrl"],
    [{ baseUrl: "ftp://x" }, true, "models.needUrl"],
    [{ baseUrl: "https://x/v1" }, true, null],
    [{ adapters: [{ name: "a", path: "" }] }, false, "models.needAdapter"],
    [{ adapters: [{ name: "", path: " " }] }, false, null],
    [
      {
        adapters: [
          { name: "a", path: "p" },
          { name: "a ", path: "q" },
        ],
      },
      false,
      "models.adapterTwice",
    ],
  ] as const)("%j, remote %s: %s", (change, isRemote, problem) => {
    expect(problemOf(options(change as Partial<StartOptions>), isRemote)).toBe(problem);
  });
});

it("adaptersOf leaves empty lines out", () => {
  const adapters = [
    { name: " a ", path: "/p" },
    { name: "", path: "" },
  ];
  expect(adaptersOf(options({ adapters }))).toEqual([{ name: "a", path: "/p" }]);
});
