/** A chart's specification as SVG. */

const LONGEST_MS = 15_000;

export function draw(code: string): Promise<string> {
  const worker = new Worker(new URL("./vega.worker.ts", import.meta.url), { type: "module" });
  return new Promise<string>((done, fail) => {
    const late = setTimeout(() => fail(new Error("It took too long.")), LONGEST_MS);
    worker.onmessage = ({ data }: MessageEvent<{ svg?: string; error?: string }>) => {
      clearTimeout(late);
      if (data.svg === undefined) fail(new Error(data.error));
      else done(data.svg);
    };
    worker.onerror = (event) => fail(new Error(event.message || "The chart's part could not be loaded."));
    worker.postMessage(code);
  }).finally(() => worker.terminate());
}
