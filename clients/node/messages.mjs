// The same server through Anthropic's own package: a streamed answer, and a function that the model may call.
//
//   node messages.mjs "What is the weather in Paris?"
import Anthropic from "@anthropic-ai/sdk";

const baseURL = new URL(process.env.ZHILU_URL ?? "http://127.0.0.1:8642/v1").origin; // without /v1: the package writes it itself
const model = process.env.ZHILU_MODEL ?? "zhilu-nano";
const client = new Anthropic({ baseURL, apiKey: process.env.ZHILU_API_KEY ?? "not-needed", authToken: null });

const question = process.argv[2] ?? "What is the weather in Paris?";
const tools = [
  {
    name: "get_weather",
    description: "Get the current weather of a city",
    input_schema: {
      type: "object",
      properties: { city: { type: "string", description: "The city" } },
      required: ["city"],
    },
  },
];
const functions = {
  get_weather: ({ city }) => ({ city, weather: "sunny", temperature: 21 }), // your own service would be asked here
};

/** Runs one call. It is what a model wrote: it may name no function of ours. */
function run({ id, name, input }) {
  const known = Object.hasOwn(functions, name);
  const content = JSON.stringify(known ? functions[name](input) : { error: `no function ${name}` });
  console.log(`${name}(${JSON.stringify(input)}) = ${content}`);
  return { type: "tool_result", tool_use_id: id, content, is_error: !known };
}

try {
  const messages = [{ role: "user", content: question }];
  // A model may go on asking for tools; this program allows it four rounds.
  for (let round = 0; round < 4; round++) {
    const stream = client.messages.stream({ model, messages, tools, max_tokens: 256 });
    stream.on("text", (text) => process.stdout.write(text));
    const reply = await stream.finalMessage();
    process.stdout.write("\n");
    console.error(`[${reply.usage.output_tokens} tokens, ended by ${reply.stop_reason}, request ${stream.request_id}]`);
    if (reply.stop_reason !== "tool_use") break;
    const calls = reply.content.filter((block) => block.type === "tool_use");
    messages.push({ role: "assistant", content: reply.content }, { role: "user", content: calls.map(run) });
  }
} catch (error) {
  if (error instanceof Anthropic.APIConnectionError) {
    console.error(`Nothing answers at ${baseURL}. Start it with: zhilu up`);
  } else if (error instanceof Anthropic.APIError) {
    console.error(`HTTP ${error.message}`);
  } else {
    throw error;
  }
  process.exit(1);
}
