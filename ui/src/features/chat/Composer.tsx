import { ArrowUp, Square } from "lucide-react";
import { useLayoutEffect, useRef, useState, type KeyboardEvent } from "react";
import { Link } from "wouter";
import { Button, Spinner } from "@/components/Button";
import { useI18n } from "@/lib/i18n";
import { useKeptText } from "@/lib/kept";
import { useKbs, useApis, useModels, useStartModel, useStatus } from "@/lib/queries";
import type { ModelState, Sampling } from "@/lib/types";
import { ModelMenu } from "@/components/ModelMenu";
import type { Change } from "./api";
import { AttachButton, FileChips } from "./Attached";
import { KbMenu } from "./choices";
import css from "./Composer.module.css";
import { useFiles } from "./files";
import { Microphone } from "./Microphone";
import { useCanThink } from "./sampling";
import { FillPrompt, PromptPicker, PromptsDialog } from "./Prompts";
import { SamplingMenu } from "./SamplingMenu";
import { placesOf, textOf, useOffered, type Offered } from "./shelf";
import { ToolsMenu, WebSwitch } from "./ToolsMenu";

interface ComposerProps {
  /** What is typed but not sent is kept for each conversation while the browser tab lives. */
  draftKey: string;
  model: string | null;
  kbId: string | null;
  tools: string[];
  web: boolean;
  running: boolean;
  disabled: boolean;
  sampling: Sampling;
  onSampling: (next: Sampling) => void;
  /** The system prompt of this conversation; empty: the product's own. */
  role: string;
  onChoose: (change: Change) => void;
  onSend: (content: string, attachments: string[]) => void;
  onStop: () => void;
}

/** On a touch screen the focus would cover half the page with the keyboard. */
const isTouch = matchMedia("(pointer: coarse)").matches;

export function Composer(props: ComposerProps) {
  const { draftKey, model, kbId, tools, web, running, disabled, sampling, onSampling, onChoose, onSend, onStop, role } =
    props;
  // Answers from documents or the web alone: they take no files and no sampling.
  const sourced = tools.length === 0 && (kbId !== null || web);
  const canThink = useCanThink(model);
  const { t } = useI18n();
  const [text, write] = useKeptText(draftKey);
  const field = useRef<HTMLTextAreaElement>(null);
  const state = useModelState(model);
  const kb = useKbs().data?.find(({ id }) => id === kbId);
  const ready = state === "ready" && !disabled;
  const files = useFiles();
  const [dropping, setDropping] = useState(false);
  const slash = /^\/(\S*)$/.exec(text)?.[1]?.toLowerCase() ?? null;
  const offered = useOffered(slash !== null).filter(({ name }) => name.toLowerCase().includes(slash ?? ""));
  const [picked, setAt] = useState(0);
  const at = Math.min(picked, Math.max(offered.length - 1, 0));
  const [filling, setFilling] = useState<{ text: string; places: string[] } | null>(null);
  const [managing, setManaging] = useState(false);

  useLayoutEffect(() => {
    const area = field.current;
    if (!area) return;
    area.style.height = "auto";
    area.style.height = `${Math.min(area.scrollHeight, 220)}px`;
  }, [text]);

  const send = () => {
    if (!text.trim() || running || !ready || files.busy) return;
    onSend(text.trim(), sourced ? [] : files.ids);
    write("");
    files.clear();
  };
  const take = async (prompt: Offered) => {
    const chosen = await textOf(prompt).catch(() => "");
    const places = placesOf(chosen);
    if (places.length) setFilling({ text: chosen, places });
    else write(chosen);
    field.current?.focus();
  };
  const onKey = (event: KeyboardEvent) => {
    if (slash !== null && !event.nativeEvent.isComposing) {
      const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
      if (step && offered.length) {
        event.preventDefault();
        setAt((at + step + offered.length) % offered.length);
        return;
      }
      const chosen = offered[at];
      if (chosen && (event.key === "Enter" || event.key === "Tab") && !event.shiftKey) {
        event.preventDefault();
        void take(chosen);
        return;
      }
    }
    // Enter that ends an input method's composition chooses a word; it does not send.
    if (event.key !== "Enter" || event.shiftKey || event.nativeEvent.isComposing) return;
    event.preventDefault();
    send();
  };

  return (
    <div className={css.composer}>
      {model && <ModelNotice model={model} state={state} />}
      <form
        className={css.box}
        data-dropping={dropping || undefined}
        onDragOver={(event) => {
          if (sourced || !event.dataTransfer.types.includes("Files")) return;
          event.preventDefault();
          setDropping(true);
        }}
        onDragLeave={() => setDropping(false)}
        onDrop={(event) => {
          if (sourced || !event.dataTransfer.files.length) return;
          event.preventDefault();
          setDropping(false);
          files.add([...event.dataTransfer.files]);
        }}
        onSubmit={(event) => {
          event.preventDefault();
          send();
        }}
      >
        {slash !== null && (
          <PromptPicker
            offered={offered}
            at={at}
            onPick={(prompt) => void take(prompt)}
            onManage={() => setManaging(true)}
          />
        )}
        {!sourced && <FileChips files={files} />}
        <textarea
          ref={field}
          autoFocus={!isTouch}
          data-slash
          rows={1}
          value={text}
          aria-label={t("chat.ask")}
          placeholder={kb ? t("chat.askKb", { name: kb.name }) : t("chat.ask")}
          onChange={(event) => write(event.target.value)}
          onKeyDown={onKey}
          onPaste={(event) => {
            const pasted = [...event.clipboardData.files];
            if (!pasted.length || sourced) return;
            event.preventDefault();
            files.add(pasted);
          }}
        />
        <div className={css.row}>
          <ModelMenu chosen={model} onChoose={(name) => onChoose({ model: name })} />
          <KbMenu
            chosen={kbId}
            onChoose={(id) => onChoose(id && !tools.length ? { kb_id: id, web: false } : { kb_id: id })}
          />
          <ToolsMenu tools={tools} onTools={(chosen) => onChoose({ tools: chosen })} />
          <WebSwitch
            on={web}
            onChange={(on) => onChoose(on && !tools.length ? { web: on, kb_id: null } : { web: on })}
          />
          {!sourced && (
            <SamplingMenu
              sampling={sampling}
              onChange={onSampling}
              canThink={canThink}
              role={role}
              onRole={(system_prompt) => onChoose({ system_prompt })}
            />
          )}
          {!sourced && <AttachButton onFiles={files.add} />}
          <Microphone onText={(said) => write(text.trim() ? `${text.trim()} ${said}` : said)} />
          {running ? (
            <button
              type="button"
              className={css.send}
              aria-label={t("answer.stop")}
              title={`${t("answer.stop")} (Esc)`}
              onClick={onStop}
            >
              <Square size={14} fill="currentColor" aria-hidden />
            </button>
          ) : (
            <button
              type="submit"
              className={css.send}
              aria-label={t("answer.send")}
              disabled={!text.trim() || !ready || files.busy}
            >
              <ArrowUp size={18} aria-hidden />
            </button>
          )}
        </div>
      </form>
      {filling && (
        <FillPrompt
          {...filling}
          onClose={() => setFilling(null)}
          onFilled={(whole) => {
            write(whole);
            setFilling(null);
          }}
        />
      )}
      {managing && <PromptsDialog onClose={() => setManaging(false)} />}
    </div>
  );
}

function useModelState(model: string | null): ModelState | undefined {
  const { data: status } = useStatus();
  const known = useModels().data?.find(({ name }) => name === model)?.state;
  const isRemote = useApis().data?.some((api) => model?.startsWith(`${api.name}/`));
  if (isRemote) return "ready"; // nothing to start: it says for itself when it cannot answer
  return status && status.model.name === model ? status.model.state : known;
}

/** Says why one cannot send yet, and what to do about it. */
function ModelNotice({ model, state }: { model: string; state: ModelState | undefined }) {
  const { t } = useI18n();
  const start = useStartModel();
  if (state === undefined || state === "ready") return null;
  if (state === "starting" || start.isPending) {
    return (
      <p className={css.notice} role="status">
        <Spinner size={14} /> {t("chat.starting", { model })}
      </p>
    );
  }
  const failed = state === "failed";
  return (
    <p className={css.notice} data-bad={failed || undefined} role="status">
      {t(failed ? "model.notStarted" : "chat.modelStopped", { model })}
      <Button small onClick={() => start.mutate(model)}>
        {t(failed ? "do.retry" : "chat.start")}
      </Button>
      {failed && <Link href={`/models/${encodeURIComponent(model)}`}>{t("chat.seeLog")}</Link>}
    </p>
  );
}
