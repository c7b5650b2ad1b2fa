import { describe, expect, it } from "vitest";
import { gistOf } from "./failure";

describe("gistOf", () => {
  it("is the line itself where nothing was printed", () => {
    expect(gistOf("not found")).toBe("not found");
    expect(gistOf("The engine ended with code 2:")).toBe("The engine ended with code 2");
  });

  it("leaves out the course of things and keeps the last reason", () => {
    const detail = [
      "The engine ended with code 2 while starting:",
      "2026-11-24T02:33:21.341Z [info     ] Waiting for application startup. [uvicorn.error]",
      "the weights do not fit config.json: missing: a",
      "2026-11-24T02:33:22.171Z [info     ] Finished server process [15565] [uvicorn.error]",
      "",
    ].join("\n");
    expect(gistOf(detail)).toBe(
      "The engine ended with code 2 while starting: the weights do not fit config.json: missing: a",
    );
  });

  it("keeps a traceback's last line", () => {
    const detail = "引擎启动时退出，代码 1：\nINFO 01-01 loading\nTraceback (most recent call last):\nValueError: no";
    expect(gistOf(detail)).toBe("引擎启动时退出，代码 1: ValueError: no");
  });
});
