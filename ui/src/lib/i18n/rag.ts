export const rag = {} as const;
