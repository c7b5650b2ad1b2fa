/** What matters of an engine's end: the server tells it in one line, and under it what the engine printed last. */

/** A line of an engine's log about its course, as ours and uvicorn, vLLM or llama.cpp write it: no reason stands there. */
const COURSE = /^(\S+Z \[(debug|info)\b|(DEBUG|INFO)\b|\d[\d.]* I )/i;

/** "It ended with code 2" and the last line that tells why; the whole output is in the log. */
export function gistOf(detail: string): string {
  const [head = "", ...printed] = detail.split("\n").map((line) => line.trim());
  const said = head.replace(/[:：]$/, "");
  const why = printed.filter((line) => line && !COURSE.test(line)).at(-1);
  return why && why !== said ? `${said}: ${why}` : said;
}
