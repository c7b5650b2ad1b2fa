import { Headset, Send } from "lucide-react";
import { useEffect, useRef, useState, type FormEvent } from "react";
import { Link, useLocation } from "wouter";
import { Badge, type BadgeTone } from "@/components/Badge";
import { Button } from "@/components/Button";
import { Page } from "@/components/Page";
import { Empty, ErrorPanel, Skeleton } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import {
  endContact,
  replyTo,
  takeContact,
  useChange,
  useContacts,
  useHistory,
  useQueue,
  type Contact,
  type Line,
} from "./api";
import css from "./Support.module.css";

const AGENT = "zhilu.support.agent";
const TONES: Record<Contact["status"], BadgeTone> = {
  bot: "neutral",
  waiting: "warn",
  taken: "pine",
  closed: "neutral",
};

export default function QueuePage({ id }: { id?: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const queue = useQueue();
  const all = useContacts();
  const ended = all.data?.filter(({ status, ticket }) => status === "closed" && ticket != null).slice(0, 20) ?? [];
  const known = [...(queue ?? []), ...(all.data ?? [])];
  const open = known.find((one) => one.id === id);
  return (
    <Page
      wide
      title={t("support.queue")}
      lead={t("support.queueLead")}
      actions={
        <Button icon={Headset} onClick={() => go("/support")}>
          {t("support.desks")}
        </Button>
      }
    >
      {all.error && <ErrorPanel error={all.error} retry={() => void all.refetch()} />}
      <div className={css.queue}>
        <aside className={css.tickets}>
          {queue === null && <Skeleton />}
          {queue?.length === 0 && <Empty title={t("support.nobody")} hint={t("support.nobodyHint")} />}
          {queue?.map((one) => (
            <TicketLink key={one.id} contact={one} active={one.id === id} />
          ))}
          {ended.length > 0 && <h2>{t("support.closedList")}</h2>}
          {ended.map((one) => (
            <TicketLink key={one.id} contact={one} active={one.id === id} />
          ))}
        </aside>
        <section>
          {open ? <Ticket key={open.id} contact={open} /> : <Empty icon={Headset} title={t("support.choose")} />}
        </section>
      </div>
    </Page>
  );
}

function TicketLink({ contact, active }: { contact: Contact; active: boolean }) {
  const { t } = useI18n();
  return (
    <Link href={`/support/queue/${contact.id}`} data-active={active || undefined} data-testid="ticket">
      <span>
        <strong>{t("support.ticket", { n: contact.ticket ?? "–" })}</strong>
        <Badge tone={TONES[contact.status]} dot live={contact.status === "waiting"}>
          {t(`support.status.${contact.status}`)}
        </Badge>
      </span>
      <small>{contact.last}</small>
      {contact.reason && <small>{t(`support.reason.${contact.reason}`)}</small>}
    </Link>
  );
}

function Ticket({ contact }: { contact: Contact }) {
  const { t } = useI18n();
  const lines = useHistory(contact.id);
  const [agent, setAgent] = useState(localStorage.getItem(AGENT) ?? "");
  const [text, setText] = useState("");
  const take = useChange(takeContact);
  const reply = useChange(replyTo);
  const end = useChange(endContact);
  const bottom = useRef<HTMLDivElement>(null);
  useEffect(() => {
    bottom.current?.scrollIntoView({ block: "nearest" });
  }, [lines.length]);
  const status = statusOf(lines, contact);
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (status === "taken") {
      if (text.trim()) reply.mutate({ id: contact.id, text: text.trim() }, { onSuccess: () => setText("") });
    } else if (agent.trim()) {
      localStorage.setItem(AGENT, agent.trim());
      take.mutate({ id: contact.id, agent: agent.trim() });
    }
  };
  const failed = take.error ?? reply.error ?? end.error;
  return (
    <>
      <div className={css.bar}>
        <strong>{t("support.ticket", { n: contact.ticket ?? "–" })}</strong>
        <Badge tone={TONES[status]}>{t(`support.status.${status}`)}</Badge>
        {contact.agent && status === "taken" && <span>{t("support.with", { name: contact.agent })}</span>}
        {status === "taken" && (
          <Button small busy={end.isPending} onClick={() => end.mutate(contact.id)}>
            {t("support.end")}
          </Button>
        )}
      </div>
      <div className={css.talk}>
        <div className={`${css.lines} ${css.history}`} role="log" aria-live="polite">
          {lines.map((line) => (
            <HistoryLine key={line.id} line={line} />
          ))}
          <div ref={bottom} />
        </div>
        {status !== "closed" && (
          <form className={css.form} onSubmit={submit}>
            {status === "taken" ? (
              <input
                value={text}
                maxLength={4000}
                placeholder={t("support.reply")}
                aria-label={t("support.reply")}
                onChange={(event) => setText(event.target.value)}
              />
            ) : (
              <input
                value={agent}
                maxLength={100}
                placeholder={t("support.agent")}
                aria-label={t("support.agent")}
                onChange={(event) => setAgent(event.target.value)}
              />
            )}
            <Button tone="primary" icon={Send} type="submit" busy={take.isPending || reply.isPending}>
              {status === "taken" ? t("support.send") : t("support.take")}
            </Button>
          </form>
        )}
      </div>
      {failed && <ErrorPanel error={failed} />}
    </>
  );
}

/** The state as the lines tell it, which are live; the list may be a moment behind. */
function statusOf(lines: readonly Line[], contact: Contact): Contact["status"] {
  const what = lines
    .filter(({ role }) => role === "event")
    .map(({ details }) => details.what)
    .findLast((one) => one === "waiting" || one === "taken" || one === "closed");
  return what ?? contact.status;
}

function HistoryLine({ line }: { line: Line }) {
  const { t } = useI18n();
  const { what, agent, rating, by } = line.details as { what?: string; agent?: string; rating?: number; by?: string };
  if (line.role === "event") {
    const known = what === "waiting" || what === "taken" || what === "closed" || what === "rated";
    return (
      <div className={css.line} data-role="event">
        {known ? t(`support.event.${what}`, { name: agent ?? "", n: rating ?? "" }) : t("support.role.event")}
      </div>
    );
  }
  return (
    <div className={css.line} data-role={line.role}>
      {line.content}
      <small>
        {line.role === "agent" && agent ? agent : t(`support.role.${line.role}`)}
        {by === "faq" || by === "order" || by === "document" || by === "rule" || by === "model" || by === "nothing"
          ? ` · ${t(`support.by.${by}`)}`
          : ""}
      </small>
    </div>
  );
}
