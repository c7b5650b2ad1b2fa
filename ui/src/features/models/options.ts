/** What one may choose when a model is started, and the request that it makes. */

export interface AdapterLine {
  name: string;
  path: string;
}

export interface StartOptions {
  /** "auto" leaves the choice to the server, which tells its reason. */
  engine: string;
  context: number | null;
  concurrency: number | null;
  /** A word of the engine's own; null: its default. */
  precision: string | null;
  adapters: AdapterLine[];
  baseUrl: string;
  apiKey: string;
  remoteModel: string;
}

export const AUTO = "auto";
export const PLAIN: StartOptions = {
  engine: AUTO,
  context: null,
  concurrency: null,
  precision: null,
  adapters: [],
  baseUrl: "",
  apiKey: "",
  remoteModel: "",
};

/** The body of `POST /models/{name}/start`: only what was chosen. `isRemote`: the engine is reached by its URL. */
export function startBody(options: StartOptions, isRemote: boolean, runs: boolean): Record<string, unknown> {
  const { engine, context, concurrency, precision, baseUrl, apiKey, remoteModel } = options;
  const chosen = { ...(engine === AUTO ? {} : { engine }), ...(runs ? { restart: true } : {}) };
  if (isRemote) {
    return {
      ...chosen,
      base_url: baseUrl.trim(),
      ...(apiKey ? { api_key: apiKey } : {}),
      ...(remoteModel.trim() ? { remote_model: remoteModel.trim() } : {}),
    };
  }
  const loras = adaptersOf(options);
  return {
    ...chosen,
    ...(context ? { max_len: context } : {}),
    ...(concurrency ? { concurrency } : {}),
    ...(precision ? { precision } : {}),
    ...(loras.length ? { loras } : {}),
  };
}

/** Adapters that are wholly named; a line left empty is none. */
export function adaptersOf(options: StartOptions): AdapterLine[] {
  return options.adapters
    .map(({ name, path }) => ({ name: name.trim(), path: path.trim() }))
    .filter(({ name, path }) => name || path);
}

export type OptionProblem = "models.needUrl" | "models.needAdapter" | "models.adapterTwice";

export function problemOf(options: StartOptions, isRemote: boolean): OptionProblem | null {
  if (isRemote) return /^https?:\/\/\S+$/.test(options.baseUrl.trim()) ? null : "models.needUrl";
  const lines = adaptersOf(options);
  if (lines.some(({ name, path }) => !name || !path)) return "models.needAdapter";
  return new Set(lines.map(({ name }) => name)).size < lines.length ? "models.adapterTwice" : null;
}
