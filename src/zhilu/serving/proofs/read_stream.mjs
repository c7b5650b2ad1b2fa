// Reads an answer through a page's own stream module, where no browser is there to show the page. Gate 5.6 starts it:
//   node read_stream.mjs FILE ORIGIN MODEL QUESTION [PIECES]
// FILE is the built module; with PIECES it stops after so many. A line of JSON for each piece: {"at": seconds, "length": characters};
// at the end {"requests": ids at the gateway, "stopped": true | false, "error": message | null}.
import { pathToFileURL } from "node:url";

const [file, origin, model, question, pieces] = process.argv.slice(2);
const { streamChat } = await import(pathToFileURL(file).href);
const requests = [];
const real = globalThis.fetch;
globalThis.fetch = async (path, given) => {
  const response = await real(new URL(path, origin), given); // on a page, addresses are the page's own
  requests.push(response.headers.get("x-request-id"));
  return response;
};
const stop = new AbortController();
const most = Number(pieces ?? Infinity);
let length = 0;
let count = 0;
let error = null;
try {
  for await (const piece of streamChat(model, [{ role: "user", content: question }], stop.signal)) {
    length += piece.length;
    console.log(JSON.stringify({ at: performance.now() / 1000, length }));
    if (++count >= most) stop.abort();
  }
} catch (problem) {
  if (!stop.signal.aborted) error = problem.message;
}
console.log(JSON.stringify({ requests, stopped: stop.signal.aborted, error }));
