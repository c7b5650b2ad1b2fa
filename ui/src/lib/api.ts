/** The wire to the server: one place that knows addresses, headers, errors and streams. */
import { readEvents } from "./sse";
import type { ErrorDetail, Text } from "./types";

const BASE = "/zhilu/v1";
const KEY = "zhilu.key";

/** An error answer of the server; `detail.messages` holds both languages, `detail.fix` the command that mends it. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly detail: ErrorDetail,
  ) {
    super(detail.message);
    this.name = "ApiError";
  }
}

let keyAsker: (() => void) | null = null;

/** Called when the server wants a key (it listens beyond this machine) and has none or a wrong one. */
export function onKeyNeeded(ask: () => void): void {
  keyAsker = ask;
}

export function storeKey(key: string): void {
  localStorage.setItem(KEY, key);
}

function headers(extra?: Record<string, string>): Record<string, string> {
  const key = localStorage.getItem(KEY);
  return {
    Accept: "application/json",
    "Accept-Language": document.documentElement.lang || "en",
    ...(key ? { Authorization: `Bearer ${key}` } : {}),
    ...extra,
  };
}

function unreachable(cause: unknown): ApiError {
  const messages: Text = {
    en: "The Zhilu server does not answer. Is it still running?",
    zh: "指路服务没有响应。它还在运行吗？",
  };
  const said = cause instanceof Error ? cause.message : String(cause);
  return new ApiError(0, {
    message: said,
    type: "unreachable",
    param: null,
    code: "unreachable",
    fix: "zhilu up",
    messages,
  });
}

/** What is wrong, from an answer that is not 2xx: the product's error body, or the status where a proxy answered. */
export function refusal(response: Response, text: string): ApiError {
  const said = `${response.status} ${response.statusText}`.trim();
  let detail: ErrorDetail | undefined;
  try {
    detail = (JSON.parse(text) as { error?: ErrorDetail } | null)?.error;
  } catch {
    // Not ours: the status says what there is to say.
  }
  // A password that does not fit is no question of the server's key.
  if (response.status === 401 && (!detail || detail.code === "invalid_api_key")) keyAsker?.();
  return new ApiError(
    response.status,
    detail?.message ? detail : { message: said, type: "http_error", param: null, code: null, fix: null },
  );
}

async function reach(url: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(url, init);
  } catch (cause) {
    if (init.signal?.aborted) throw cause;
    throw unreachable(cause);
  }
}

async function send(path: string, init: RequestInit): Promise<Response> {
  const response = await reach(BASE + path, init);
  if (!response.ok) throw refusal(response, await response.text());
  return response;
}

/** A request to the OpenAI API, its body sent as it is; the answer comes unread, a refusal too (see `refusal`). */
export function openaiPost(path: string, body: string | FormData, signal: AbortSignal): Promise<Response> {
  return reach(`/v1${path}`, {
    method: "POST",
    signal,
    headers: headers(typeof body === "string" ? { "Content-Type": "application/json" } : undefined),
    body,
  });
}

/** The OpenAI API's answer to a question without a body. */
export async function openaiGet<R>(path: string, signal: AbortSignal): Promise<R> {
  const response = await reach(`/v1${path}`, { method: "GET", signal, headers: headers() });
  const text = await response.text();
  if (!response.ok) throw refusal(response, text);
  return JSON.parse(text) as R;
}

async function call<R>(
  method: string,
  path: string,
  body?: unknown,
  signal?: AbortSignal,
  extra?: Record<string, string>,
): Promise<R> {
  const isForm = body instanceof FormData;
  const response = await send(path, {
    method,
    signal,
    headers: headers({ ...(body !== undefined && !isForm ? { "Content-Type": "application/json" } : {}), ...extra }),
    body: body === undefined ? undefined : isForm ? body : JSON.stringify(body),
  });
  if (response.status === 204) return undefined as R;
  const text = await response.text();
  return (text ? JSON.parse(text) : undefined) as R;
}

/** An answer that is a picture, as the address of an image; null where there is none (204). */
async function picture(path: string, body: unknown): Promise<string | null> {
  const response = await send(path, {
    method: "POST",
    headers: headers({ Accept: "image/*", "Content-Type": "application/json" }),
    body: JSON.stringify(body),
  });
  return response.status === 204 ? null : URL.createObjectURL(await response.blob());
}

export const api = {
  picture,
  get: <R>(path: string, signal?: AbortSignal) => call<R>("GET", path, undefined, signal),
  /** `extra`: headers beside the usual ones. */
  post: <R>(path: string, body?: unknown, extra?: Record<string, string>) =>
    call<R>("POST", path, body, undefined, extra),
  put: <R>(path: string, body: unknown) => call<R>("PUT", path, body),
  patch: <R>(path: string, body: unknown) => call<R>("PATCH", path, body),
  delete: <R>(path: string) => call<R>("DELETE", path),
};

/** Typed events of an endpoint that streams: `body` makes it a POST. Ends with the stream; abort `signal` to stop. */
export async function* stream<E extends { event: string; data: unknown }>(
  path: string,
  signal: AbortSignal,
  body?: unknown,
  extra?: Record<string, string>,
): AsyncGenerator<E> {
  const post = body !== undefined;
  const response = await send(path, {
    method: post ? "POST" : "GET",
    signal,
    headers: headers({
      Accept: "text/event-stream",
      ...(post ? { "Content-Type": "application/json" } : {}),
      ...extra,
    }),
    body: post ? JSON.stringify(body) : undefined,
  });
  for await (const { event, data } of readEvents(response)) {
    yield { event, data: JSON.parse(data) as unknown } as E;
  }
}

/** A file of the server's as a blob address (a plain link could not carry the key); revoke it after use. */
export async function blobUrl(path: string): Promise<string> {
  const response = await send(path, { method: "GET", headers: headers({ Accept: "*/*" }) });
  return URL.createObjectURL(await response.blob());
}

export function downloadHref(path: string): string {
  return BASE + path;
}

/** Saves a file of the server's under `name`. */
export async function download(path: string, name: string): Promise<void> {
  const url = await blobUrl(path);
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
