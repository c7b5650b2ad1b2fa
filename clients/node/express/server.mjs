// A back end between a browser and the model: it keeps the key and the rules, and passes the answer on as it is written.
//
//   npm ci && npm run build && npm start        http://127.0.0.1:3001
//
// POST /api/chat takes {"messages": [{"role", "content"}...], "knowledgeBase"?} and answers with server-sent events (see
// chat.mjs), {"error": {"message"}} where it breaks off, [DONE] at the end. Whoever closes the page stops the model.
// PORT (3001; 0 is a free one), ZHILU_URL, ZHILU_MODEL, ZHILU_API_KEY as in the other samples.
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import express from "express";
import { answer, knowledgeBases, model } from "./chat.mjs";

const MOST = 20_000; // characters of a conversation
const app = express();
app.disable("x-powered-by");
app.use(express.json({ limit: "200kb" }));
app.use(express.static(fileURLToPath(new URL("web/dist", import.meta.url))));

app.get("/health", (request, response) => response.send("ok\n"));
app.get("/api/about", async (request, response) => {
  response.json({ model, knowledgeBases: await knowledgeBases().catch(() => []) }); // another server has none
});

/** What is wrong with a conversation; null: nothing. */
function wrong(turns) {
  if (!Array.isArray(turns) || turns.at(-1)?.role !== "user") return "The last message must be a question.";
  const fits = ({ role, content }) => ["user", "assistant"].includes(role) && typeof content === "string" && content.trim();
  if (!turns.every((turn) => turn && fits(turn))) return "A message is empty, or of nobody.";
  return turns.reduce((sum, { content }) => sum + content.length, 0) > MOST ? "The conversation is too long." : null;
}

app.post("/api/chat", async (request, response) => {
  const { messages, knowledgeBase } = request.body ?? {};
  const message = wrong(messages);
  if (message) return response.status(400).json({ error: { message } });
  const stop = new AbortController();
  response.once("close", () => stop.abort()); // the reader has gone: the model need not go on
  response.set({
    "Content-Type": "text/event-stream",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no", // nginx in front must not hold the pieces back
  });
  response.flushHeaders();
  const tell = async (data) => {
    // A slow reader slows the model down instead of filling the memory.
    if (!response.write(`data: ${data}\n\n`)) await once(response, "drain", { signal: stop.signal });
  };
  try {
    const turns = messages.map(({ role, content }) => ({ role, content })); // and nothing else that a browser may send
    for await (const told of answer(turns, knowledgeBase, stop.signal)) await tell(JSON.stringify(told));
  } catch (error) {
    if (stop.signal.aborted) return;
    await tell(JSON.stringify({ error: { message: error.message } })); // once it has begun, a stream can only say it as an event
  }
  response.end("data: [DONE]\n\n");
});

app.use((error, request, response, next) => {
  if (response.headersSent) return next(error);
  const status = error.status ?? 500;
  response.status(status).json({ error: { message: status < 500 ? error.message : "Something went wrong here." } });
});

const server = app.listen(Number(process.env.PORT ?? 3001), "127.0.0.1", (error) => {
  if (error) throw error;
  console.log(`The back end listens at http://127.0.0.1:${server.address().port}`);
});
