// Where Zhilu is and which model to ask. The names are Zhilu's own, so that a key kept for OpenAI never goes elsewhere.
import OpenAI from "openai";

export const url = process.env.ZHILU_URL ?? "http://127.0.0.1:8642/v1";
export const model = process.env.ZHILU_MODEL ?? "zhilu-nano";

export const client = new OpenAI({
  baseURL: url,
  apiKey: process.env.ZHILU_API_KEY ?? "not-needed", // the package insists on one; Zhilu asks for it only if you set it
});

/** Ends the program with what the server said (an unknown model, a refused parameter), not with a stack of calls. */
export function giveUp(error) {
  if (error instanceof OpenAI.APIUserAbortError) process.exit(130);
  if (error instanceof OpenAI.APIConnectionError) {
    console.error(`Nothing answers at ${url}. Start it with: zhilu up`);
  } else if (error instanceof OpenAI.APIError) {
    console.error(error.status ? `HTTP ${error.message}` : error.message);
  } else {
    throw error;
  }
  process.exit(1);
}
