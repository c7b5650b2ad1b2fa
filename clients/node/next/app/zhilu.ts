// Where the model is. Only the server reads it: the key never reaches the page.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";

export const url = process.env.ZHILU_URL ?? "http://127.0.0.1:8642/v1";
export const key = process.env.ZHILU_API_KEY ?? "not-needed";

const zhilu = createOpenAICompatible({ name: "zhilu", baseURL: url, apiKey: key });

export const model = zhilu(process.env.ZHILU_MODEL ?? "zhilu-nano");
