// A back end between a browser and the model: it keeps the key and the rules, and passes the stream on as it comes.
//
//   node backend.mjs                      then:  curl -N http://127.0.0.1:3000/api/chat -d "What can you do?"
//
// POST /api/chat takes the question as plain text and answers with server-sent events, OpenAI's chunks as they are. Whoever
// closes the page stops the model. PORT (3000; 0 is a free one), ZHILU_URL, ZHILU_MODEL, ZHILU_API_KEY as in the other samples.
import { createServer } from "node:http";
import OpenAI from "openai";
import { client, model } from "./connect.mjs";

const MOST = 4000; // characters of a question
const RULES = "Answer in the language of the question, briefly.";

/** The body as text; null where it is longer than a question may be. */
async function textOf(request) {
  let text = "";
  for await (const piece of request.setEncoding("utf8")) {
    text += piece;
    if (text.length > MOST) return null;
  }
  return text.trim();
}

function refuse(response, status, message) {
  response.writeHead(status, { "Content-Type": "application/json" });
  response.end(JSON.stringify({ error: { message } }));
}

async function chat(request, response) {
  const question = await textOf(request);
  if (question === null) return refuse(response, 413, `A question has at most ${MOST} characters.`);
  if (!question) return refuse(response, 400, "The question is empty.");
  const stop = new AbortController();
  response.once("close", () => stop.abort()); // the reader has gone: the model need not go on
  const messages = [
    { role: "system", content: RULES },
    { role: "user", content: question },
  ];
  try {
    const { data: stream, request_id } = await client.chat.completions
      .create(
        { model, messages, max_tokens: 256, stream: true, stream_options: { include_usage: true } },
        { signal: stop.signal },
      )
      .withResponse();
    response.writeHead(200, {
      "Content-Type": "text/event-stream",
      "Cache-Control": "no-cache",
      "X-Accel-Buffering": "no", // nginx in front must not hold the pieces back
      "X-Request-Id": request_id ?? "",
    });
    for await (const chunk of stream) {
      // A slow reader slows the model down instead of filling the memory.
      if (!response.write(`data: ${JSON.stringify(chunk)}\n\n`)) await drained(response);
    }
    response.end("data: [DONE]\n\n");
  } catch (error) {
    if (stop.signal.aborted) return;
    const message = error instanceof OpenAI.APIError ? error.message : String(error);
    // Once it has begun, a stream can only say it as an event.
    if (response.headersSent) response.end(`data: ${JSON.stringify({ error: { message } })}\n\n`);
    else refuse(response, 502, message);
  }
}

function drained(response) {
  return new Promise((resolve) => {
    response.once("drain", resolve);
    response.once("close", resolve);
  });
}

const server = createServer((request, response) => {
  const { method, url } = request;
  if (url === "/health") return response.end("ok\n");
  if (url !== "/api/chat") return refuse(response, 404, "There is POST /api/chat, and /health.");
  if (method !== "POST") return refuse(response, 405, "Ask with POST.");
  chat(request, response).catch((error) => {
    console.error(error);
    if (!response.headersSent) refuse(response, 500, "Something went wrong here.");
    else response.end();
  });
});
server.listen(Number(process.env.PORT ?? 3000), "127.0.0.1", () => {
  console.log(`The back end listens at http://127.0.0.1:${server.address().port}`);
});
