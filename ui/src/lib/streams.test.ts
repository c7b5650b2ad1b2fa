import { beforeEach, describe, expect, it, vi } from "vitest";
import { clear, isRunning, keep, peek, put, run, stop } from "./streams";

beforeEach(() => {
  const kept = new Map<string, string>();
  vi.stubGlobal("sessionStorage", {
    getItem: (key: string) => kept.get(key) ?? null,
    setItem: (key: string, text: string) => void kept.set(key, text),
    removeItem: (key: string) => void kept.delete(key),
  });
  vi.stubGlobal("requestAnimationFrame", (draw: () => void) => setTimeout(draw, 5));
  vi.stubGlobal("cancelAnimationFrame", (frame: number) => clearTimeout(frame));
});

const pause = (ms: number) => new Promise((done) => setTimeout(done, ms));

describe("streams", () => {
  it("show values while they run, and the last one afterwards", async () => {
    const running = run<string>("a/1", async ({ show, soon }) => {
      show("first");
      expect(peek("a/1")).toBe("first");
      soon("second");
      soon("third");
      expect(peek("a/1")).toBe("first");
      await pause(30);
      expect(peek("a/1")).toBe("third");
      return "done";
    });
    expect(isRunning("a/1")).toBe(true);
    await running;
    expect([peek("a/1"), isRunning("a/1")]).toEqual(["done", false]);
  });

  it("are stopped by their key, and newer work takes the place", async () => {
    const old = run<string>("a/2", async ({ signal, show }) => {
      await new Promise((done) => signal.addEventListener("abort", done));
      show("too late");
      return "old";
    });
    await run<string>("a/2", async () => "new");
    await old;
    expect(peek("a/2")).toBe("new");
    const stopped = run<string>("a/3", async ({ signal }) => {
      await new Promise((done) => signal.addEventListener("abort", done));
      return "stopped";
    });
    stop("a/3");
    await stopped;
    expect(peek("a/3")).toBe("stopped");
  });

  it("leave nothing behind when they are cleared", async () => {
    const running = run<string>("a/4", async ({ signal, show }) => {
      await new Promise((done) => signal.addEventListener("abort", done));
      show("late");
      return "late";
    });
    clear("a/4");
    await running;
    expect([peek("a/4"), isRunning("a/4")]).toEqual([null, false]);
  });

  it("end as not running when the work fails", async () => {
    await expect(run("a/5", () => Promise.reject(new Error("broken")))).rejects.toThrow("broken");
    expect(isRunning("a/5")).toBe(false);
  });

  it("are kept over a reload only where a prefix says so", async () => {
    keep<string>(
      "kept",
      (value) => ({ value }),
      (kept) => `again ${(kept as { value: string }).value}`,
    );
    await run<string>("kept/1", async () => "this");
    put("kept/2", "that");
    await run<string>("lost/1", async () => "gone");
    vi.resetModules();
    const reloaded = await import("./streams");
    reloaded.keep<string>(
      "kept",
      (value) => ({ value }),
      (kept) => `again ${(kept as { value: string }).value}`,
    );
    expect(reloaded.peek("kept/1")).toBe("again this");
    expect(reloaded.peek("kept/2")).toBe("again that");
    expect(reloaded.peek("lost/1")).toBeNull();
    reloaded.put("kept/2", null);
    expect(sessionStorage.getItem("zhilu.stream.kept/2")).toBeNull();
  });
});
