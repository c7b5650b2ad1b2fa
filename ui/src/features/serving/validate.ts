/** Finds what is wrong with JSON that a person types, before the server has to refuse it. */
import type { Key } from "@/lib/i18n";

export interface Problem {
  field?: "messages" | "tools" | "schema";
  key: Key;
  values?: Record<string, string | number>;
}

/** The value, or the first place where the text is no JSON, by line and column from 1. */
export function parseJson(text: string): { value?: unknown; problem?: Problem } {
  try {
    return { value: JSON.parse(text) as unknown };
  } catch {
    const before = text.slice(0, brokenAt(text)).split("\n");
    return {
      problem: { key: "play.badJson", values: { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 } },
    };
  }
}

const SPACE = /[ \t\r\n]*/y;
const SCALAR =
  /"(?:[^"\\\p{Cc}]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null/uy;

/** Where a text stops being JSON; browsers agree on no way to tell it (some do not tell it at all). */
function brokenAt(text: string): number {
  let at = 0;
  const take = (what: RegExp): string | null => {
    what.lastIndex = at;
    const found = what.exec(text)?.[0];
    if (found === undefined) return null;
    at += found.length;
    return found;
  };
  const next = (mark: string): boolean => {
    take(SPACE);
    if (text[at] !== mark) return false;
    at++;
    return true;
  };
  const list = (end: string, item: () => boolean): boolean => {
    if (next(end)) return true;
    do if (!item()) return false;
    while (next(","));
    return next(end);
  };
  const pair = (): boolean => {
    take(SPACE);
    return text[at] === '"' && take(SCALAR) !== null && next(":") && value();
  };
  const value = (): boolean => {
    if (next("{")) return list("}", pair);
    if (next("[")) return list("]", value);
    take(SPACE);
    return take(SCALAR) !== null;
  };
  if (value()) take(SPACE);
  return at;
}

const NAME = /^[a-zA-Z0-9_.-]{1,64}$/;
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** What the API's `tools` must be: a list of functions, each with a name of its own and an object's schema. */
export function toolProblems(value: unknown): Problem[] {
  if (!Array.isArray(value) || !value.length) return [{ key: "play.toolsList" }];
  const problems: Problem[] = [];
  const names = new Set<string>();
  value.forEach((tool: unknown, index) => {
    const n = index + 1;
    if (!isObject(tool) || tool.type !== "function" || !isObject(tool.function)) {
      problems.push({ key: "play.toolShape", values: { n } });
      return;
    }
    const { name, parameters } = tool.function;
    if (typeof name !== "string" || !NAME.test(name)) problems.push({ key: "play.toolName", values: { n } });
    else if (names.has(name)) problems.push({ key: "play.toolTwice", values: { name } });
    else names.add(name);
    if (parameters !== undefined) problems.push(...schemaProblems(parameters));
  });
  return problems;
}

const TYPES = ["object", "array", "string", "number", "integer", "boolean", "null"];

/** The mistakes of a JSON schema that are common when it is written by hand; `at` is a path such as `$.city`. */
export function schemaProblems(schema: unknown, at = "$"): Problem[] {
  if (schema === true || schema === false) return [];
  if (!isObject(schema)) return [{ key: "play.schemaObject", values: { at } }];
  const problems: Problem[] = [];
  const types = schema.type === undefined ? [] : [schema.type].flat();
  const unknown = types.find((type) => typeof type !== "string" || !TYPES.includes(type));
  if (unknown !== undefined) problems.push({ key: "play.schemaType", values: { at, type: String(unknown) } });
  const { properties, required, items } = schema;
  if (properties !== undefined && !isObject(properties))
    problems.push({ key: "play.schemaProperties", values: { at } });
  if (isObject(properties)) {
    for (const [name, inner] of Object.entries(properties)) problems.push(...schemaProblems(inner, `${at}.${name}`));
  }
  if (required !== undefined && !(Array.isArray(required) && required.every((name) => typeof name === "string"))) {
    problems.push({ key: "play.schemaRequired", values: { at } });
  } else if (Array.isArray(required) && isObject(properties)) {
    const missing = required.find((name: string) => !(name in properties)) as string | undefined;
    if (missing !== undefined) problems.push({ key: "play.schemaMissing", values: { at, name: missing } });
  }
  if (items !== undefined && !Array.isArray(items)) problems.push(...schemaProblems(items, `${at}[]`));
  for (const word of ["anyOf", "oneOf", "allOf"]) {
    const parts = schema[word];
    if (Array.isArray(parts)) problems.push(...parts.flatMap((part) => schemaProblems(part, at)));
  }
  return problems;
}
