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
  secret: boolean;
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
  memory_estimate: {
    weights_bytes: number;
    kv_bytes_per_token: number | null;
    kv_dtype: string;
    full_context_bytes: number | null;
    available_bytes: number;
  } | null;
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
  cancel_requested: boolean;
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

/** A passage as retrieval weighed it; `lexical` or `dense` null: that list did not hold it. */
export interface Candidate {
  chunk_id: string | number;
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
  sentences: { text: string; support: "exact" | "overlap" | "neutral" | "unsupported"; passages: number[]; shown: boolean }[];
  verdict: Verdict;
  citations: Citation[];
}

/** How a grounded answer came about. */
export type Verdict = "grounded" | "quoted" | "refused_by_retrieval" | "refused_by_model" | "refused_unsupported";

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
  command: string | null;
  optional: boolean;
  has_gate: boolean;
  slow: boolean;
  needs: string[];
  status: TaskStatus;
  checked_at: string | null;
  seconds: number | null;
  why: Text | null;
  fix: string | null;
  figures: Figure[];
}

export interface RoadmapStage {
  id: string;
  title: Text;
  subtitle: Text | null;
  tools: Text | null;
  also: Text | null;
  optional: boolean;
  tasks: RoadmapTask[];
}

/** `next` is the task to do next; `checkable` counts the tasks that have a gate in this version. */
export interface Roadmap {
  stages: RoadmapStage[];
  next: string | null;
  passed: number;
  checkable: number;
  total: number;
}

export interface Evidence {
  task: string;
  checked_at: string;
  seconds: number;
  verdict: {
    status: Exclude<TaskStatus, "unchecked">;
    why: Text;
    figures: Figure[];
    artefacts: { name: string; sha256: string; size: number }[];
    fix: string | null;
  };
  versions: Record<string, string>;
  machine: Record<string, unknown>;
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
