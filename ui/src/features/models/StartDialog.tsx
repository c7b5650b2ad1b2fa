import { Plus, SlidersHorizontal, X } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Badge } from "@/components/Badge";
import { Button, IconButton } from "@/components/Button";
import { Choice, Option } from "@/components/Choice";
import { Dialog } from "@/components/Dialog";
import { controlClass, Field } from "@/components/Field";
import { ErrorPanel } from "@/components/states";
import { usableFirst } from "@/lib/engines";
import { bytes, number } from "@/lib/format";
import { useI18n, type Key } from "@/lib/i18n";
import { useEngines } from "@/lib/queries";
import type { Engine, MemoryNeed, Model } from "@/lib/types";
import { useAdapters, useMemoryNeed, useStartWith } from "./api";
import { EngineBadges, InstallButton } from "./Engines";
import { AUTO, PLAIN, problemOf, type AdapterLine, type StartOptions } from "./options";
import css from "./StartDialog.module.css";

/** Opens the options; on a card it is a sign, in the drawer it has its words. */
export function OptionsButton({ model, words }: { model: Model; words?: boolean }) {
  const { t } = useI18n();
  const [open, setOpen] = useState(false);
  const runs = model.state === "ready" || model.state === "starting";
  const label = t(runs ? "models.restartOptions" : "models.options");
  return (
    <>
      {words ? (
        <Button small icon={SlidersHorizontal} onClick={() => setOpen(true)}>
          {label}
        </Button>
      ) : (
        <IconButton small icon={SlidersHorizontal} label={`${label}: ${model.name}`} onClick={() => setOpen(true)} />
      )}
      {open && <StartDialog model={model} onClose={() => setOpen(false)} />}
    </>
  );
}

function StartDialog({ model, onClose }: { model: Model; onClose: () => void }) {
  const { t, lang } = useI18n();
  const engines = useEngines().data ?? [];
  const [options, set] = useState<StartOptions>(PLAIN);
  const change = (part: Partial<StartOptions>) => set((old) => ({ ...old, ...part }));
  const start = useStartWith(model.name);
  const need = useMemoryNeed(model.name, {
    engine: options.engine,
    context: options.context,
    concurrency: options.concurrency ?? 1,
    precision: options.precision,
  });

  // What would be chosen is the server's to say; it says so with the memory.
  const name = options.engine === AUTO ? need.data?.engine_name : options.engine;
  const engine = engines.find((one) => one.name === name);
  const isRemote = engine ? !engine.is_process : false;
  const takes = (option: string) => !engine?.takes || engine.takes.includes(option);
  const problem = problemOf(options, isRemote);
  const runs = model.state === "ready" || model.state === "starting";
  const longest = model.context_length ?? 32_768;
  return (
    <Dialog
      open
      shape="wide"
      onClose={onClose}
      title={t(runs ? "models.restartTitle" : "models.startTitle", { name: model.name })}
      hint={t(runs ? "models.restartHint" : "models.startHint")}
      onSubmit={() => start.mutate({ options, isRemote, runs }, { onSuccess: onClose })}
      actions={
        <>
          {problem && <span className={css.problem}>{t(problem)}</span>}
          <Button onClick={onClose}>{t("do.cancel")}</Button>
          <Button
            tone="primary"
            type="submit"
            busy={start.isPending}
            disabled={problem !== null || engine?.installed === false}
          >
            {t(runs ? "models.restart" : "models.start")}
          </Button>
        </>
      }
    >
      <div className={css.body}>
        <EngineChoice
          engines={engines}
          value={options.engine}
          onChange={(next) => change({ engine: next, precision: null })}
        />
        {isRemote ? (
          <RemoteFields options={options} onChange={change} />
        ) : (
          <>
            <div className={css.pair}>
              {takes("max_len") && (
                <SizeField
                  label={t("models.contextChoice")}
                  hint={t("models.contextHint", { n: number(longest, lang) })}
                  most={longest}
                  rest={need.data?.context ?? longest}
                  value={options.context}
                  onChange={(context) => change({ context })}
                />
              )}
              {takes("concurrency") && (
                <SizeField
                  label={t("models.concurrency")}
                  hint={t("models.concurrencyHint")}
                  most={64}
                  rest={1}
                  value={options.concurrency}
                  onChange={(concurrency) => change({ concurrency })}
                />
              )}
            </div>
            {takes("precision") && (
              <PrecisionField
                words={engine?.precisions ?? []}
                value={options.precision}
                onChange={(precision) => change({ precision })}
              />
            )}
            {/* Lines already written stay in sight: the server says that this engine takes none. */}
            {(takes("loras") || options.adapters.length > 0) && (
              <AdapterFields lines={options.adapters} onChange={(adapters) => change({ adapters })} />
            )}
            {need.error && <ErrorPanel error={need.error} title={t("models.memory")} />}
            {need.data && <Memory need={need.data} />}
          </>
        )}
        {start.error && <Refusal key={start.submittedAt} error={start.error} />}
      </div>
    </Dialog>
  );
}

/** What was pressed stands at the bottom: the answer to it comes into sight there. */
function Refusal({ error }: { error: unknown }) {
  const { t } = useI18n();
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    // Its promise, in newer browsers, is no cleanup.
    void ref.current?.scrollIntoView({ block: "nearest" });
  }, []);
  return (
    <div ref={ref}>
      <ErrorPanel error={error} title={t("models.startFailed")} />
    </div>
  );
}

interface PrecisionFieldProps {
  words: readonly string[];
  value: string | null;
  onChange: (word: string | null) => void;
}

function PrecisionField({ words, value, onChange }: PrecisionFieldProps) {
  const { t } = useI18n();
  if (words.length < 2) return null;
  return (
    <Field label={t("models.precision")} hint={t("models.precisionHint")}>
      {(props) => (
        <select {...props} value={value ?? ""} onChange={(event) => onChange(event.target.value || null)}>
          <option value="">{`${t("models.valueDefault")} (${words[0]})`}</option>
          {words.map((word) => (
            <option key={word}>{word}</option>
          ))}
        </select>
      )}
    </Field>
  );
}

interface EngineChoiceProps {
  engines: readonly Engine[];
  value: string;
  onChange: (name: string) => void;
}

function EngineChoice({ engines, value, onChange }: EngineChoiceProps) {
  const { t, say } = useI18n();
  const here = usableFirst(engines).filter(({ installed }) => installed);
  const missing = usableFirst(engines).filter(({ installed }) => !installed);
  return (
    <div>
      <h3 className={css.title}>{t("models.engine")}</h3>
      <Choice label={t("models.engine")} value={value} onChange={onChange}>
        <Option value={AUTO} title={t("models.engineAuto")}>
          {t("models.engineAutoHint")}
        </Option>
        {here.map((engine) => (
          <Option key={engine.name} value={engine.name} title={say(engine.title)}>
            {say(engine.description)}
          </Option>
        ))}
      </Choice>
      {missing.length > 0 && (
        <details className={css.missing}>
          <summary>{t("models.enginesMore", { n: missing.length })}</summary>
          <ul>
            {missing.map((engine) => (
              <li key={engine.name}>
                <span>
                  <b>{say(engine.title)}</b> <EngineBadges engine={engine} />
                  <small>{say(engine.why)}</small>
                </span>
                <InstallButton engine={engine} />
              </li>
            ))}
          </ul>
        </details>
      )}
    </div>
  );
}

interface SizeFieldProps {
  label: string;
  hint: string;
  most: number;
  /** Where the handle stands while nothing is chosen. */
  rest: number;
  value: number | null;
  onChange: (value: number | null) => void;
}

function SizeField({ label, hint, most, rest, value, onChange }: SizeFieldProps) {
  const { t } = useI18n();
  const take = (given: number) => onChange(given >= 1 ? Math.min(most, Math.round(given)) : null);
  return (
    <Field label={label} hint={hint}>
      {(props) => (
        <span className={css.size}>
          <input
            {...props}
            type="number"
            min={1}
            max={most}
            placeholder={t("models.valueDefault")}
            value={value ?? ""}
            onChange={(event) => take(event.target.valueAsNumber)}
          />
          <input
            type="range"
            aria-label={label}
            min={1}
            max={most}
            value={value ?? rest}
            data-unset={value === null || undefined}
            onChange={(event) => take(event.target.valueAsNumber)}
          />
        </span>
      )}
    </Field>
  );
}

function AdapterFields({ lines, onChange }: { lines: AdapterLine[]; onChange: (next: AdapterLine[]) => void }) {
  const { t } = useI18n();
  const here = useAdapters().data ?? [];
  const set = (at: number, part: Partial<AdapterLine>) =>
    onChange(lines.map((line, index) => (index === at ? { ...line, ...part } : line)));
  return (
    <div>
      <h3 className={css.title}>{t("models.adapters")}</h3>
      <datalist id="adapters-here">
        {here.map(({ name, path }) => (
          <option key={name} value={path}>
            {name}
          </option>
        ))}
      </datalist>
      {lines.map((line, index) => (
        <div key={index} className={css.adapter}>
          <input
            className={controlClass}
            aria-label={`${t("models.adapterName")} ${index + 1}`}
            placeholder={t("models.adapterName")}
            spellCheck={false}
            value={line.name}
            onChange={(event) => set(index, { name: event.target.value })}
          />
          <span aria-hidden>=</span>
          <input
            className={controlClass}
            list="adapters-here"
            aria-label={`${t("models.adapterPath")} ${index + 1}`}
            placeholder={t("models.adapterPath")}
            spellCheck={false}
            value={line.path}
            onChange={(event) => {
              const path = event.target.value;
              const known = here.find((adapter) => adapter.path === path)?.name;
              set(index, { path, ...(known && !line.name ? { name: known } : {}) });
            }}
          />
          <IconButton
            small
            icon={X}
            label={t("models.removeAdapter", { name: line.name || String(index + 1) })}
            onClick={() => onChange(lines.filter((_, at) => at !== index))}
          />
        </div>
      ))}
      <div className={css.adapterFoot}>
        <Button small tone="ghost" icon={Plus} onClick={() => onChange([...lines, { name: "", path: "" }])}>
          {t("models.addAdapter")}
        </Button>
        <small>{t("models.adaptersHint")}</small>
      </div>
    </div>
  );
}

function RemoteFields({
  options,
  onChange,
}: {
  options: StartOptions;
  onChange: (part: Partial<StartOptions>) => void;
}) {
  const { t } = useI18n();
  const fields: [keyof StartOptions & ("baseUrl" | "apiKey" | "remoteModel"), Key, string][] = [
    ["baseUrl", "models.baseUrl", "https://…/v1"],
    ["apiKey", "models.apiKey", ""],
    ["remoteModel", "models.remoteModel", ""],
  ];
  return fields.map(([key, label, placeholder]) => (
    <Field key={key} label={t(label)}>
      {(props) => (
        <input
          {...props}
          type={key === "apiKey" ? "password" : "text"}
          autoComplete="off"
          spellCheck={false}
          placeholder={placeholder}
          value={options[key]}
          onChange={(event) => onChange({ [key]: event.target.value })}
        />
      )}
    </Field>
  ));
}

function Memory({ need }: { need: MemoryNeed }) {
  const { t, lang } = useI18n();
  const { weights, cache, engine, total, available, fits, requests, context } = need;
  const share = (value: number) => `${Math.min(100, (value / Math.max(available, total, 1)) * 100)}%`;
  const facts = [
    [t("models.weights"), weights],
    [t("models.needKv"), cache],
    [t("models.needEngine"), engine],
    [t("models.needTotal"), total],
    [t("models.available"), available],
  ] as const;
  return (
    <section className={css.memory} data-testid="memory" data-fits={fits}>
      <h3 className={css.title}>
        {t("models.need", { n: requests, context: number(context, lang) })}
        <Badge tone={fits ? "ok" : "bad"}>{t(fits ? "models.fits" : "models.fitsNot")}</Badge>
      </h3>
      <div className={css.bar} aria-hidden>
        <i style={{ width: share(weights) }} />
        <i style={{ width: share(cache) }} data-kv />
        <i style={{ width: share(engine) }} data-engine />
      </div>
      <dl>
        {facts.map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{bytes(value)}</dd>
          </div>
        ))}
      </dl>
      {!fits && <p className={css.fitsHow}>{t("models.fitsHow")}</p>}
    </section>
  );
}
