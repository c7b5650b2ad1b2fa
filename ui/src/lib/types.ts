/**
 * The workbench's wire. What the server's OpenAPI document describes comes from api.gen.ts (`npm run api`); by hand is
 * only what it leaves open: errors, citations, traces. Times are ISO 8601 in UTC.
 */
import type { components } from "./api.gen";

type Schemas = components["schemas"];

/** A schema as the server sends it: what has a default there is always present. */
type Sent<Name extends keyof Schemas> = Required<Schemas[Name]>;

export interface Text {
  en: string;
  zh: string;
}

export interface ErrorDetail {
  message: string;
  type: string;
  param: string | null;
  code: string | null;
  fix: string | null;
  messages?: Text;
}

export type ServerStatus = Schemas["StatusOut"];
export type Setting = Schemas["SettingOut"];

type InBoth<M> = Omit<M, "why_not"> & { why_not: Text | null };
export type Model = InBoth<Sent<"ModelInfo">>;
export type ModelState = Model["state"];
export type ModelDetails = InBoth<Sent<"ModelDetail">>;
export type Engine = Schemas["EngineOut"] & {
  /** Names of the start options it heeds. */
  takes?: string[];
  /** Words for the precision of its weights, the first its default. */
  precisions?: string[];
  can_install?: boolean;
  status_note?: Text | null;
};
export type Adapter = Schemas["AdapterInfo"];

/** Counts of a running model since it was started; see `LiveOut`. */
export interface LiveFigures {
  at: number;
  source: "engine" | "gateway";
  prompt_tokens: number;
  generated_tokens: number;
  num_answered: number;
  running: number;
  waiting: number | null;
  kv_usage: number | null;
}

/** Bytes that a start would need for `requests` of `context` tokens at once; see `MemoryOut`. */
export interface MemoryNeed {
  engine_name: string;
  weights: number;
  cache: number;
  engine: number;
  total: number;
  available: number;
  fits: boolean;
  context: number;
  requests: number;
}

export type Job = Omit<Schemas["Job"], "error"> & { error: ErrorDetail | null };
/** A large part that arrives after the workbench is up; see `PartView`. */
export type SetupPart = Omit<Schemas["PartView"], "job"> & { job: Job | null };
export type JobStatus = Job["status"];

export type ConversationSummary = Schemas["Summary"];
export type Message = Omit<Sent<"Message">, "error" | "citations" | "usage"> & {
  error: ErrorDetail | null;
  citations: Citation[];
  usage: Usage | null;
};
export type Conversation = Omit<Schemas["Conversation"], "messages"> & { messages: Message[] };

export type KnowledgeBase = Schemas["KbInfo"];
export type Document = Omit<Schemas["Document"], "error"> & { error: ErrorDetail | null };
export type DocumentText = Omit<Schemas["DocumentText"], "error"> & { error: ErrorDetail | null };
export type Hit = Sent<"Hit">;
export interface UploadAnswer {
  documents: Document[];
  rejected: { name: string; error: ErrorDetail }[];
  job: Job | null;
}

export type Roadmap = Schemas["RoadmapOut"];
export type RoadmapStage = Schemas["StageOut"];
export type RoadmapTask = Schemas["TaskOut"];
export type TaskStatus = RoadmapTask["status"];
export type Figure = Schemas["FigureOut"];
export type Evidence = Schemas["EvidenceOut"];

export type DoctorReport = Schemas["DoctorOut"];
export type Finding = Schemas["FindingOut"];

export interface Usage {
  prompt_tokens?: number;
  completion_tokens?: number;
  total_tokens?: number;
  prompt_tokens_details?: { cached_tokens?: number } | null;
}

/** A numbered passage shown to the model; offsets count characters of the document's text. */
export interface Citation {
  n: number;
  kb_id: string;
  doc_id: string;
  doc_name: string;
  chunk_id: number;
  start: number;
  end: number;
  quote_start: number | null;
  quote_end: number | null;
  page: number | null;
  heading: string;
  text: string;
  score: number;
  cited: boolean;
}

export type TraceSummary = Schemas["TraceSummary"];

/** A passage as retrieval weighed it; `lexical` or `dense` null: that list did not hold it. */
export interface Candidate {
  chunk_id: number;
  doc_id: string;
  doc_name: string;
  start: number;
  end: number;
  lexical: number | null;
  dense: number | null;
  score: number;
  coverage: number | null;
}

export interface Trace extends TraceSummary {
  model: string;
  rewrite: { rewritten: string; by: string } | null;
  retrieval: {
    lang: string;
    dense_weight: number;
    num_lexical: number;
    num_dense: number;
    coverage: number;
    min_coverage: number;
    candidates: Candidate[];
    seconds: number;
  };
  prompt: {
    messages: { role: string; content: string | null }[];
    num_tokens: number;
    context: number;
    dropped_passages: number;
  } | null;
  raw: string;
  finish_reason: string | null;
  usage: Usage | null;
  sentences: {
    text: string;
    support: "exact" | "overlap" | "neutral" | "beside" | "unsupported";
    passages: number[];
    shown: boolean;
  }[];
  verdict: Verdict;
  citations: Citation[];
}

/** How a grounded answer came about. */
export type Verdict = "grounded" | "quoted" | "refused_by_retrieval" | "refused_by_model" | "refused_unsupported";
