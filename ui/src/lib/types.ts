/** The workbench's wire: what /zhilu/v1 answers, by the product's HTTP contract. Times are ISO 8601 in UTC. */

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

export interface ServerStatus {
  version: string;
  uptime_s: number;
  home: string;
  host: string;
  port: number;
  model: { name: string; state: ModelState; detail: string | Text | null; engine: string | null };
  lang: string;
}

export type ModelState = "ready" | "starting" | "failed" | "stopped";

export interface Setting {
  key: string;
  value: string | number | boolean | null;
  default: string | number | boolean | null;
  source: "default" | "file" | "env" | "flag";
  type: string;
  choices: (string | number)[] | null;
  description: Text;
  restart_required: boolean;
}

/** A numbered passage shown to the model; offsets count characters of the document's text. */
export interface Citation {
  n: number;
  kb_id: string;
  doc_id: string;
  doc_name: string;
  chunk_id: string | number;
  start: number;
  end: number;
  quote_start: number | null;
  quote_end: number | null;
  page: number | null;
  heading: string | null;
  text: string;
  score: number;
  cited: boolean;
}

export interface Usage {
  prompt_tokens?: number;
  completion_tokens?: number;
  total_tokens?: number;
}

export interface Message {
  id: string;
  parent_id: string | null;
  role: "user" | "assistant" | "system";
  content: string;
  status: "complete" | "streaming" | "stopped" | "error";
  error: ErrorDetail | null;
  citations: Citation[] | null;
  usage: Usage | null;
  finish_reason: string | null;
  created_at: string;
  model: string | null;
  trace_id: string | null;
}

export interface ConversationSummary {
  id: string;
  title: string;
  model: string | null;
  kb_id: string | null;
  created_at: string;
  updated_at: string;
}

export interface Conversation extends ConversationSummary {
  head_id: string | null;
  messages: Message[];
}

export interface Model {
  name: string;
  embedded: boolean;
  source: string | null;
  path: string;
  architecture: string | null;
  parameters: number | null;
  size_bytes: number;
  dtype: string | null;
  context_length: number | null;
  vocab_size: number | null;
  license: string | null;
  state: ModelState;
  engine: string | null;
  detail: string | Text | null;
  card: boolean;
  supported: boolean;
  why_not: Text | null;
}

export interface ModelDetails extends Model {
  config: Record<string, unknown>;
  memory_estimate: Record<string, number | string | null> | null;
  card_markdown: Text | null;
}

export interface Engine {
  name: string;
  title: string | Text;
  status: "alive" | "legacy" | "needs_gpu";
  installed: boolean;
  description: Text;
  source: string;
}

export type JobStatus = "queued" | "running" | "done" | "failed" | "cancelled";

export interface Job {
  id: string;
  kind: string;
  title: Text;
  status: JobStatus;
  progress: number;
  stage: Text | null;
  detail: string | null;
  error: ErrorDetail | string | null;
  result: Record<string, unknown> | null;
  attempt: number;
  created_at: string;
  started_at: string | null;
  finished_at: string | null;
  params: Record<string, unknown>;
}

export interface KnowledgeBase {
  id: string;
  name: string;
  description: string | null;
  embedder: string;
  dim: number;
  num_documents: number;
  num_chunks: number;
  size_bytes: number;
  created_at: string;
  updated_at: string;
}

export interface Document {
  id: string;
  name: string;
  mime: string;
  size_bytes: number;
  status: "queued" | "ingesting" | "ready" | "failed";
  error: ErrorDetail | Text | string | null;
  num_chunks: number;
  num_chars: number;
  num_pages: number | null;
  lang: string | null;
  added_at: string;
  job_id: string | null;
}

export interface DocumentText extends Document {
  text: string;
  pages: { page: number; start: number; end: number }[] | null;
  outline: { title: string; level: number; start: number }[] | null;
}

export interface UploadAnswer {
  documents: Document[];
  rejected: { name: string; error: ErrorDetail | Text | string }[];
  job: Job | null;
}

export interface TraceSummary {
  id: string;
  question: string;
  answer: string | null;
  refused: boolean;
  created_at: string;
  seconds: number;
}

export type Trace = TraceSummary & Record<string, unknown>;

export interface Figure {
  name: Text | string;
  value: number | string;
  unit: string;
}

export type TaskStatus = "passed" | "failed" | "not_yet" | "cannot_run_here" | "unchecked";

export interface RoadmapTask {
  id: string;
  title: Text;
  gate: Text | string;
  guide: Text | null;
  has_gate: boolean;
  status: TaskStatus;
  checked_at: string | null;
  why: Text | null;
  fix: string | null;
  figures: Figure[];
}

export interface RoadmapStage {
  id: number | string;
  title: Text;
  subtitle: Text | null;
  tasks: RoadmapTask[];
}

export interface Finding {
  id: string;
  severity: "ok" | "info" | "warning" | "error";
  title: Text;
  what: Text;
  why: Text | null;
  fix: string[];
  docs?: string | null;
}

export interface DoctorReport {
  machine: Record<string, unknown>;
  findings: Finding[];
  checked_at: string;
}
