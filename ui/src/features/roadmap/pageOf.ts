/** The page on which a task is done, where its guide names one. */
export const TASK_PAGES: Readonly<Record<string, string>> = {
  "1.1": "/lens/tokens",
  "1.2": "/lens/attention",
  "1.3": "/lens/positions",
  "1.4": "/lens/architecture",
  "1.5": "/lens/next",
  "1.6": "/lens/prompts",
  "2.1": "/models",
  "2.3": "/chat",
  "3.2": "/tuning",
  "4.1": "/knowledge",
  "4.2": "/knowledge",
  "4.4": "/knowledge",
  "5.3": "/agents",
  "6.1": "/internals/6.1",
  "6.2": "/internals/6.2",
  "6.3": "/internals/6.3",
  "6.4": "/internals/6.4",
  "6.5": "/internals/6.5",
  "6.6": "/internals/6.6",
};

export const pageOf = (task: string): string | undefined => TASK_PAGES[task];
