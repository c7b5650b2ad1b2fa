// What the model may call. Each is a function of this page; in an application of yours it would ask your own back end.

export interface Tool {
  name: string;
  description: string;
  parameters: object;
  /** It changes something: the person is asked before it runs. */
  changes?: boolean;
  run: (given: Record<string, unknown>) => string | Promise<string>;
}

const NOTES = "zhilu-notes";

export const tools: Tool[] = [
  {
    name: "current_time",
    description: "The date and time now, in a time zone such as Asia/Shanghai or Europe/Paris",
    parameters: {
      type: "object",
      properties: { time_zone: { type: "string", description: "IANA name of the time zone" } },
      required: ["time_zone"],
    },
    run: ({ time_zone }) =>
      new Date().toLocaleString("en-GB", { timeZone: String(time_zone), dateStyle: "full", timeStyle: "long" }),
  },
  {
    name: "read_notes",
    description: "All notes that the user has kept",
    parameters: { type: "object", properties: {} },
    run: () => localStorage.getItem(NOTES) ?? "There are no notes.",
  },
  {
    name: "keep_note",
    description: "Keep a note for the user",
    parameters: { type: "object", properties: { text: { type: "string" } }, required: ["text"] },
    changes: true,
    run: ({ text }) => {
      const kept = localStorage.getItem(NOTES);
      localStorage.setItem(NOTES, kept ? `${kept}\n${String(text)}` : String(text));
      return "Kept.";
    },
  },
];

export const offered = tools.map(({ name, description, parameters }) => ({
  type: "function",
  function: { name, description, parameters },
}));

/** Whatever goes wrong is told to the model, which may try otherwise: its arguments are as reliable as anything it writes. */
export async function runTool(name: string, written: string, allow: (tool: Tool) => Promise<boolean>): Promise<string> {
  const tool = tools.find((one) => one.name === name);
  if (!tool) return `Error: there is no function ${name}.`;
  try {
    const given = JSON.parse(written || "{}") as Record<string, unknown>;
    if (tool.changes && !(await allow(tool))) return "The user did not allow it.";
    return await tool.run(given);
  } catch (error) {
    return `Error: ${error instanceof Error ? error.message : String(error)}`;
  }
}
