// The same server through Ollama's own client: programs written for Ollama need only another host.
//
//   node ollama.mjs "What can you do?"
import { Ollama } from "ollama";

const host = new URL(process.env.ZHILU_URL ?? "http://127.0.0.1:8642/v1").origin;
const model = process.env.ZHILU_MODEL ?? "zhilu-nano";
const key = process.env.ZHILU_API_KEY;
const ollama = new Ollama({ host, headers: key ? { Authorization: `Bearer ${key}` } : {} });

const question = process.argv[2] ?? "What can you do?";
try {
  const { models } = await ollama.list();
  console.error(`[${models.map((entry) => entry.name).join(", ")}]`);

  const stream = await ollama.chat({
    model,
    messages: [{ role: "user", content: question }],
    options: { num_predict: 256 },
    stream: true,
  });
  let last;
  for await (const part of stream) {
    process.stdout.write(part.message.content);
    last = part;
  }
  process.stdout.write("\n");
  console.error(`[${last?.eval_count} tokens, ended by ${last?.done_reason}]`);
} catch (error) {
  if (error.cause) console.error(`Nothing answers at ${host}. Start it with: zhilu up`); // fetch wraps what the socket said
  else console.error(error.message);
  process.exit(1);
}
