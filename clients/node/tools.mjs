// The model asks for a function, this program runs it, the model answers with the result. Streamed all the way.
//
//   node tools.mjs "What is the weather in Paris?"
import { client, giveUp, model } from "./connect.mjs";

const question = process.argv[2] ?? "What is the weather in Paris?";

// What the model may call: the description is for the model, the function is what really happens.
const tools = [
  {
    type: "function",
    function: {
      name: "get_weather",
      description: "Get the current weather of a city",
      parameters: {
        type: "object",
        properties: { city: { type: "string", description: "The city" } },
        required: ["city"],
      },
    },
  },
];
const functions = {
  get_weather: ({ city }) => ({ city, weather: "sunny", temperature: 21 }), // your own service would be asked here
};

/** Runs one call. Arguments are what a model wrote: they may name no function of ours, or be no JSON at all. */
function run({ function: { name, arguments: text } }) {
  try {
    if (!Object.hasOwn(functions, name)) return { error: `no function ${name}` };
    return functions[name](JSON.parse(text || "{}"));
  } catch (error) {
    return { error: error.message };
  }
}

/** Streams one reply to the terminal and puts its tool calls together: each arrives in pieces that share an index. */
async function ask(messages) {
  const { data: stream, request_id } = await client.chat.completions
    .create({ model, messages, tools, max_tokens: 256, temperature: 0, stream: true })
    .withResponse();
  let content = "";
  const calls = [];
  for await (const chunk of stream) {
    const delta = chunk.choices[0]?.delta ?? {};
    if (delta.content) process.stdout.write(delta.content);
    content += delta.content ?? "";
    for (const piece of delta.tool_calls ?? []) {
      const call = (calls[piece.index] ??= { id: "", type: "function", function: { name: "", arguments: "" } });
      call.id ||= piece.id ?? "";
      call.function.name += piece.function?.name ?? "";
      call.function.arguments += piece.function?.arguments ?? "";
    }
  }
  if (content) process.stdout.write("\n");
  console.error(`[${calls.length} tool calls, request ${request_id}]`);
  return calls.length ? { role: "assistant", content: content || null, tool_calls: calls } : { role: "assistant", content };
}

try {
  const messages = [{ role: "user", content: question }];
  // A model may go on asking for tools; this program allows it four rounds.
  for (let round = 0; round < 4; round++) {
    const reply = await ask(messages);
    messages.push(reply);
    if (!reply.tool_calls) break;
    for (const call of reply.tool_calls) {
      const result = JSON.stringify(run(call));
      console.log(`${call.function.name}(${call.function.arguments}) = ${result}`);
      messages.push({ role: "tool", tool_call_id: call.id, content: result });
    }
  }
} catch (error) {
  giveUp(error);
}
