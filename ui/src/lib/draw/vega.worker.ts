/**
 * Vega-Lite to SVG, apart from the page: a specification can ask for work without end, and then the worker is ended. Expressions
 * are interpreted, never made into functions, and nothing is loaded: data must stand in the specification.
 */
import { parse, View } from "vega";
import { expressionInterpreter } from "vega-interpreter";
import { compile, type TopLevelSpec } from "vega-lite";

const REASON = "Data from an address is not loaded: put the values into the specification.";
const refuse = () => Promise.reject(new Error(REASON));
const loader = { load: refuse, sanitize: refuse, http: refuse, file: refuse };

self.onmessage = async ({ data }: MessageEvent<string>) => {
  try {
    const given = JSON.parse(data, (key, value: unknown) => {
      if (key === "url") throw new Error(REASON); // Vega itself would only draw nothing
      return value;
    }) as Record<string, unknown>;
    const isVega = String(given.$schema ?? "").includes("/vega/");
    const spec = isVega ? given : compile(given as unknown as TopLevelSpec).spec;
    const runtime = parse(spec as Parameters<typeof parse>[0], undefined, { ast: true });
    const view = new View(runtime, { renderer: "none", loader, expr: expressionInterpreter, logLevel: 0 });
    self.postMessage({ svg: await view.toSVG() });
  } catch (error) {
    self.postMessage({ error: error instanceof Error ? error.message : String(error) });
  }
};
