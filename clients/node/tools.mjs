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

/** Runs one call. It is what a model wrote: it may name no function of ours, and its arguments may be no JSON at all. */
function run(call) {
  const { name, arguments: text } = call.function;
  if (!Object.hasOwn(functions, name)) return { error: `no function ${name}` };
  try {
    return functions[name](JSON.parse(text || "{}"));
  } catch (error) {
    return { error: error.message };
  }
}

/** A server may refuse a history with broken arguments, the model's own ones too: those become empty. */
function mend(call) {
  try {
    JSON.parse(call.function.arguments);
  } catch {
    call.function.arguments = "{}";
  }
}

/** Streams one reply to the terminal and puts its tool calls together: each arrives in pieces that share an index. */
async function ask(messages) {
  const { data: stream, request_id } = await client.chat.completions
    .create({ model, messages, tools, max_tokens: 256, temperature: 0, stream: true })
    .withResponse();
  let content = "";
  const calls = [];
  let reason;
  for await (const chunk of stream) {
    reason = chunk.choices[0]?.finish_reason ?? reason;
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
  console.error(`[${calls.length} tool calls, ended by ${reason}, request ${request_id}]`);
  if (reason === "length") calls.length = 0; // cut off at max_tokens: half a call is not to be run
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
      mend(call);
      messages.push({ role: "tool", tool_call_id: call.id, content: result });
    }
  }
} catch (error) {
  giveUp(error);
}
