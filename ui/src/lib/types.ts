/**
 * The workbench's wire. What the server's OpenAPI document describes comes from api.gen.ts (`npm run api`); by hand is
 * only what it leaves open: errors, citations, usage. Times are ISO 8601 in UTC.
 */
import type { components } from "./api.gen";

type Schemas = components["schemas"];

/** A schema as the server sends it: what has a default there is always present. */
type Sent<Name extends keyof Schemas> = Required<Schemas[Name]>;

/** A schema without what an older or a newer server may send besides. */
type Known<Schema> = { [Key in keyof Schema as string extends Key ? never : Key]: Schema[Key] };

export type Text = Schemas["Text"];

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
/** A model of the catalogue, as it stands on this machine. */
export type Offer = Schemas["Offer"];
/** Somebody else's API that was added; of its key only the end is told. */
export type Api = Schemas["ApiOut"];
export type KnownApi = Schemas["PresetOut"];
export type TestedApi = Schemas["TestedOut"];
export type Elsewhere = Sent<"Elsewhere">;
export type HubModel = Schemas["HubModel"];
export type ModelDetails = InBoth<Sent<"ModelDetail">>;
export type Engine = Sent<"EngineOut">;
export type Adapter = Schemas["AdapterInfo"];

export type Dataset = Schemas["DatasetInfo"];
export type DataReport = Schemas["DataReport"];
export type DataFinding = Schemas["Finding"];
export type Run = Schemas["RunInfo"];
export type RunDetail = Schemas["RunDetail"];
export type Parity = Schemas["Parity"];
export type Objective = NonNullable<Schemas["TuneConfig"]["objective"]>;
/** Of a run that can be started: ColossalAI is named by the API, and refused. */
export type Launch = Exclude<NonNullable<Schemas["TuneConfig"]["launch"]>, "colossalai">;
export type Optimizer = NonNullable<Schemas["TuneConfig"]["optimizer"]>;
export type Method = NonNullable<Schemas["TuneConfig"]["method"]>;
export type Behaviour = Schemas["Behaviour"];
export type Outcome = Schemas["Outcome"];
export type Exported = Omit<Schemas["Exported"], "format"> & { format: Schemas["ExportIn"]["format"] };

/** Counts of a running model since it was started. */
export type LiveFigures = Schemas["LiveOut"];
/** Bytes that a start would need for a number of requests of a context each. */
export type MemoryNeed = Schemas["MemoryOut"];

export type Job = Omit<Schemas["Job"], "error"> & { error: ErrorDetail | null };
/** A large part that arrives after the workbench is up; see `PartView`. */
export type SetupPart = Omit<Schemas["PartView"], "job"> & { job: Job | null };
export type JobStatus = Job["status"];

export type ConversationSummary = Schemas["Summary"] & { place?: string };
/** A file that goes with a question; `shown`: how many of its characters the model was given. */
export interface Attached {
  id: string;
  name: string;
  kind: string;
  num_chars: number;
  shown?: number;
  /** It is a picture that a model can see. */
  picture?: boolean;
}
/** A step of the work on an answer. */
export type ChatStep = Sent<"ChatStep">;
export type Message = Omit<Sent<"Message">, "error" | "citations" | "usage" | "attachments" | "steps" | "notes"> & {
  steps: ChatStep[];
  notes: Text[];
  attachments: Attached[];
  error: ErrorDetail | null;
  citations: Citation[];
  usage: Usage | null;
};
export type Conversation = Omit<Sent<"Conversation">, "messages" | "params"> & {
  messages: Message[];
  params: Sampling;
};

export type KnowledgeBase = Omit<Schemas["KbInfo"], "error"> & { error?: ErrorDetail | null };
export type StoreOffer = Omit<Schemas["StoreOffer"], "error" | "title"> & { title: Text; error: ErrorDetail | null };
export type SharedKb = Omit<Schemas["SharedKb"], "job"> & { job: Job };
export type Repaired = Omit<Schemas["Repaired"], "job"> & { job: Job | null };
export type Document = Omit<Schemas["Document"], "error"> & { error: ErrorDetail | null };
export type DocumentText = Omit<Schemas["DocumentText"], "error"> & { error: ErrorDetail | null };
export type Hit = Sent<"Hit">;
export type UploadAnswer = Omit<Schemas["Uploaded"], "documents" | "rejected" | "job"> & {
  documents: Document[];
  rejected: { name: string; error: ErrorDetail }[];
  job: Job | null;
};
/** The sampling parameters that a person may choose for a chat; an absent one leaves the model's default. */
export type Sampling = { [K in keyof Schemas["SamplingParams"]]?: NonNullable<Schemas["SamplingParams"][K]> };

export type Roadmap = Schemas["RoadmapOut"];
export type RoadmapStage = Schemas["StageOut"];
export type RoadmapTask = Schemas["TaskOut"];
export type TaskStatus = RoadmapTask["status"];
export type Because = NonNullable<RoadmapTask["because"]>;
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
  /** Of a page of the web: where it is. */
  url?: string | null;
}

/** A question whose answer is known, and a run that asked such questions. */
export type BoardQuestion = Sent<"BoardQuestion">;
export type QuestionList = Omit<Schemas["QuestionList"], "questions"> & { questions: BoardQuestion[] };
export type BoardSetup = Partial<Schemas["Setup"]>;
export type BoardRow = Sent<"BoardRow">;
export type BoardRun = Omit<Sent<"BoardRun">, "summary" | "setup"> & {
  setup: BoardSetup;
  summary: { num_questions: number; figures: Record<string, number | null>; labels: Record<string, number> } | null;
};
export interface BoardRunDetail {
  run: BoardRun;
  rows: BoardRow[];
}
export type BoardComparison = Omit<Schemas["Comparison"], "a" | "b"> & { a: BoardRunDetail; b: BoardRunDetail };

export type TraceSummary = Schemas["TraceSummary"];

/** A passage as retrieval weighed it; `lexical` or `dense` null: that list did not hold it. */
export type Candidate = Schemas["CandidateTrace"];
export type Support = Schemas["SentenceTrace"]["support"];
export type Trace = Omit<Known<Schemas["AnswerTrace"]>, "citations"> & { citations: Citation[] };

/** How a grounded answer came about. */
export type Verdict = Trace["verdict"];
