import { describe, expect, it } from "vitest";
import { parseJson, schemaProblems, toolProblems } from "./validate";

const tool = (name: unknown, parameters?: unknown) => ({ type: "function", function: { name, parameters } });
const keys = (problems: { key: string }[]) => problems.map(({ key }) => key);

describe("parseJson", () => {
  it("gives the value", () => {
    expect(parseJson(' {"a": [1]} ')).toEqual({ value: { a: [1] } });
  });

  it.each([
    ['{\n  "a": x\n}', 2, 8],
    ['{\n  "a": 1', 2, 9],
    ["", 1, 1],
    ["[1, 2] x", 1, 8],
    ['{"a": [1,]}', 1, 10],
    ["{'a': 1}", 1, 2],
    ['["half', 1, 2],
  ])("tells the place of %j", (text, line, column) => {
    expect(parseJson(text).problem).toEqual({ key: "play.badJson", values: { line, column } });
  });
});

describe("toolProblems", () => {
  it("takes functions with and without parameters", () => {
    expect(toolProblems([tool("a"), tool("b.c-d_1", { type: "object", properties: {} })])).toEqual([]);
  });

  it.each([
    [{}, ["play.toolsList"]],
    [[], ["play.toolsList"]],
    [[{ name: "a" }], ["play.toolShape"]],
    [[tool("has space")], ["play.toolName"]],
    [[tool(undefined)], ["play.toolName"]],
    [[tool("a"), tool("a")], ["play.toolTwice"]],
    [[tool("a", "x")], ["play.schemaObject"]],
  ])("%j", (tools, wanted) => {
    expect(keys(toolProblems(tools))).toEqual(wanted);
  });
});

describe("schemaProblems", () => {
  it("takes nested, boolean and mixed schemas", () => {
    const schema = {
      type: "object",
      properties: { a: { type: ["string", "null"] }, b: { type: "array", items: { anyOf: [{ type: "integer" }] } } },
      required: ["a"],
      additionalProperties: false,
    };
    expect(schemaProblems(schema)).toEqual([]);
    expect(schemaProblems(true)).toEqual([]);
  });

  it("names the place", () => {
    expect(schemaProblems({ properties: { city: { type: "text" } } })).toEqual([
      { key: "play.schemaType", values: { at: "$.city", type: "text" } },
    ]);
    expect(schemaProblems({ type: "array", items: { oneOf: [{ type: "x" }] } })[0]?.values).toMatchObject({
      at: "$[]",
    });
  });

  it.each([
    [[], ["play.schemaObject"]],
    [{ properties: [] }, ["play.schemaProperties"]],
    [{ required: "a" }, ["play.schemaRequired"]],
    [{ properties: {}, required: ["a"] }, ["play.schemaMissing"]],
  ])("%j", (schema, wanted) => {
    expect(keys(schemaProblems(schema))).toEqual(wanted);
  });
});
