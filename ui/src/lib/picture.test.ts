import { describe, expect, it } from "vitest";
import { fileName } from "./picture";

describe("fileName", () => {
  it("keeps letters of every script and nothing that a file system refuses", () => {
    expect(fileName("Working memory, measured")).toBe("Working-memory-measured");
    expect(fileName("实测的工作内存 / ../x")).toBe("实测的工作内存-x");
    expect(fileName("///")).toBe("figure");
  });
});
