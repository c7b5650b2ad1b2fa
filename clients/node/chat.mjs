// A streamed answer, piece by piece as the model writes it. Ctrl-C stops the model too, not only this program.
//
//   node chat.mjs "What can you do?"
import { client, giveUp, model } from "./connect.mjs";

const question = process.argv[2] ?? "What can you do?";
const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

try {
  const { data: stream, request_id } = await client.chat.completions
    .create(
      {
        model,
        messages: [{ role: "user", content: question }],
        max_tokens: 256,
        stream: true,
        stream_options: { include_usage: true },
      },
      { signal: stop.signal },
    )
    .withResponse();

  let usage;
  let reason;
  for await (const chunk of stream) {
    process.stdout.write(chunk.choices[0]?.delta?.content ?? "");
    reason = chunk.choices[0]?.finish_reason ?? reason;
    usage = chunk.usage ?? usage; // the last chunk has no choices, only the count
  }
  if (stop.signal.aborted) process.exit(130); // the package ends a stopped stream quietly

  process.stdout.write("\n");
  // The id of this request in Zhilu's own log, logs/usage.jsonl.
  console.error(`[${usage?.completion_tokens} tokens, ended by ${reason}, request ${request_id}]`);
} catch (error) {
  giveUp(error);
}
