/**
 * Every value that the API may send has words in both languages. The values are read from the generated types; a new
 * field of fixed values fails here until someone says by which words it is shown, or that nobody sees it.
 */
import { describe, expect, it } from "vitest";
import { PAGES } from "@/app/pages";
import generated from "@/lib/api.gen.ts?raw";
import { shared } from "@/lib/i18n/shared";
import type { Text } from "@/lib/types";

/** Schema and field, to the beginning of its keys. */
const SHOWN: Record<string, string> = {
  "AgentPendingOut.effect": "approval.effect.",
  "ChatStep.effect": "approval.effect.",
  "ChatStep.state": "chat.step.",
  "AnswerTrace.verdict": "rag.verdict.",
  "BoardQuestion.status": "rag.board.status.",
  "BoardRow.label": "rag.board.label.",
  "CodeAnswer.status": "coder.status.",
  "CodeEdit.status": "coder.edit.",
  "DatabaseColumn.kind": "report.kind.",
  "Document.status": "rag.status.",
  "EngineOut.status": "models.engine.",
  "Finding.severity": "tune.severity.",
  "FindingOut.severity": "doctor.severity.",
  "Job.status": "job.status.",
  "LiveOut.source": "models.live.source.",
  "ModelInfo.state": "model.state.",
  "PictureAnswer.way": "media.way.",
  "ModelState.state": "model.state.",
  "Part.kind": "lens.part.",
  "KnowledgePerson.role": "know.role.",
  "LongtextWish.want": "longtext.want.",
  "PromptComparison.verdict": "prompts.verdict.",
  "ScoredItem.grader": "prompts.grader.",
  "ReportSection.status": "report.status.",
  "SentenceTrace.support": "rag.support.",
  "SupportContact.reason": "support.reason.",
  "SupportContact.status": "support.status.",
  "SupportLine.role": "support.role.",
  "SettingOut.source": "settings.source.",
  "StepTruth.changes": "lens.changes.",
  "StepTruth.loss": "lens.loss.",
  "TaskOut.because": "roadmap.because.",
  "TaskOut.status": "roadmap.status.",
  "Outcome.answered_on": "tune.answeredOn.",
  "TuneConfig.method": "tune.method.",
  "TuneConfig.objective": "tune.objective.",
  "TuneConfig.launch": "tune.launch.",
  "TuneConfig.optimizer": "tune.optimizer.",
};
/** Fields that no page shows as words: sent by the page itself, or decided upon. */
const UNSEEN = new Set([
  "BoardQuestion.source",
  "Elsewhere.app",
  "AgentEntryOut.kind", // decides how a step is shown
  "ChatStep.kind",
  "SaidBefore.role",
  "ExportIn.format",
  "ExportIn.precision",
  "MergeIn.dtype",
  "TuneConfig.precision", // shown as the number that it is, with its reason
  "KnowledgeTurn.role",
  "NewPerson.role",
  "PersonChanges.role",
  "Message.role",
  "Message.status",
  "FilterComparison.type", // of programs that use OpenAI's vector stores; no page
  "FilterCompound.type",
  "PassageRanking.ranker",
  "ModelDetail.thinking", // decides whether the switch is there
  "ModelInfo.thinking",
  "OrderGuess.higher", // two orders, said by their places
  "OrderGuess.without",
  "OrderTruth.higher",
  "OrderTruth.without",
  "PartView.status", // no page yet
  "LongtextWish.lang", // the language of the page
  "PromptCode.language", // names of languages and formats
  "PullIn.source",
  "QuestionChange.status",
  "Repaired.how",
  "SetFileIn.form",
  "Setup.answers",
  "DocTurn.role",
  "Turn.role",
  "ExportIn.format", // names of formats and number types, the same in every language
  "ExportIn.precision",
  "MergeIn.dtype",
  "TuneConfig.precision", // shown as the number that it is, with its reason
]);
/** The same values under another schema. */
const SAME: Record<string, string> = {
  "DocumentText.status": "Document.status",
  "ModelDetail.state": "ModelInfo.state",
  "RunningOut.state": "ModelInfo.state",
  "ScoredSet.graders": "ScoredItem.grader",
  "SetSummary.graders": "ScoredItem.grader",
  "StepGuess.changes": "StepTruth.changes",
  "StepGuess.loss": "StepTruth.loss",
  "TensorOut.kind": "Part.kind",
  "WidgetContact.status": "SupportContact.status",
  "VerdictOut.because": "TaskOut.because",
  "VerdictOut.status": "TaskOut.status",
};
/** Values that are said otherwise than by the family's words, or that nobody can choose. */
const OTHERWISE = new Set(["TaskOut.because machine", "TuneConfig.launch colossalai"]);

const strings: Record<string, Text> = Object.assign({}, shared, ...PAGES.map((page) => page.strings));

/** Schema.field to its values, wherever a type is a union of texts. */
function fixedValues(source: string): Map<string, string[]> {
  const found = new Map<string, string[]>();
  let schema = "";
  for (const line of source.slice(source.indexOf("    schemas: {")).split("\n")) {
    schema = /^ {8}(\w+): \{$/.exec(line)?.[1]?.replace(/^zhilu__.*__/, "") ?? schema;
    const field = /^ {12}(\w+)\??: (.*"\w+".*);$/.exec(line);
    const values = [...(field?.[2] ?? "").replace(/components\["\w+"\]\["\w+"\]/g, "").matchAll(/"(\w+)"/g)];
    if (field && values.length)
      found.set(
        `${schema}.${field[1]}`,
        values.map((value) => value[1] ?? ""),
      );
  }
  return found;
}

describe("values of the API", () => {
  const values = fixedValues(generated);

  it("are read from the generated types", () => {
    expect(values.get("Job.status")).toEqual(["queued", "running", "done", "failed", "cancelled"]);
    expect(values.get("SentenceTrace.support")).toContain("unsure");
    expect(values.size).toBeGreaterThan(12);
  });

  it("are known by their field", () => {
    const unknown = [...values.keys()].filter((field) => !(field in SHOWN) && !(field in SAME) && !UNSEEN.has(field));
    expect(unknown).toEqual([]);
  });

  it("have words in both languages", () => {
    const missing = Object.entries({
      ...SHOWN,
      ...Object.fromEntries(Object.entries(SAME).map(([a, b]) => [a, SHOWN[b]])),
    }).flatMap(([field, family]) =>
      (values.get(field) ?? ["(no such field)"])
        .filter((value) => !OTHERWISE.has(`${SAME[field] ?? field} ${value}`))
        .filter((value) => !strings[`${family}${value}`]?.en || !strings[`${family}${value}`]?.zh)
        .map((value) => `${field}: ${value}`),
    );
    expect(missing).toEqual([]);
  });
});
