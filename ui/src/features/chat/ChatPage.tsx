import { useQueryClient } from "@tanstack/react-query";
import { History, SquarePen } from "lucide-react";
import { useEffect, useState } from "react";
import { useLocation, useSearchParams } from "wouter";
import { BarActions } from "@/components/BarActions";
import { IconButton } from "@/components/Button";
import { Dialog } from "@/components/Dialog";
import { Empty, ErrorPanel, Skeleton, useErrorText } from "@/components/states";
import { api, ApiError } from "@/lib/api";
import { useI18n } from "@/lib/i18n";
import { useStatus } from "@/lib/queries";
import { toast } from "@/lib/toast";
import { pathTo } from "@/lib/tree";
import type { Conversation } from "@/lib/types";
import { conversationKey, useConversation, usePatchConversation, type Change } from "./api";
import css from "./ChatPage.module.css";
import { Composer } from "./Composer";
import { ConversationList } from "./ConversationList";
import { keepSampling, lastSampling, sendable, useCanThink } from "./sampling";
import { Thread } from "./Thread";
import { followTurn, startTurn, stopTurn, useTurn, type Ask } from "./turns";
import { Welcome } from "./Welcome";

/** The conversation of the address, or a new one that is made with its first question. */
export default function ChatPage({ id }: { id?: string }) {
  const { t } = useI18n();
  const [, go] = useLocation();
  const [listOpen, setListOpen] = useState(false);
  return (
    <div className={css.page}>
      <aside className={css.list} aria-label={t("chat.list")}>
        <ConversationList current={id} />
      </aside>
      <BarActions>
        <IconButton icon={History} label={t("chat.list")} onClick={() => setListOpen(true)} />
        <IconButton icon={SquarePen} label={t("chat.new")} onClick={() => go("/chat")} />
      </BarActions>
      <Dialog open={listOpen} onClose={() => setListOpen(false)} title={t("chat.list")} shape="menu">
        <ConversationList current={id} onChosen={() => setListOpen(false)} />
      </Dialog>
      {/* A new conversation keeps its place on screen when it gets its address: both are one component. */}
      <Talk id={id} />
    </div>
  );
}

type Chosen = Pick<Conversation, "model" | "kb_id" | "system_prompt" | "tools" | "web" | "params">;

function Talk({ id }: { id: string | undefined }) {
  const { t } = useI18n();
  const queries = useQueryClient();
  const [, go] = useLocation();
  const [params] = useSearchParams();
  const errorText = useErrorText();
  const { data: status } = useStatus();
  const [fresh, setFresh] = useState<Chosen>({
    model: null,
    kb_id: params.get("kb"),
    system_prompt: "",
    tools: [],
    web: false,
    params: lastSampling(),
  });
  const { data: conversation, error, refetch } = useConversation(id);
  const patch = usePatchConversation();
  const { running, failed } = useTurn(id);
  const chosen = id === undefined ? fresh : conversation;
  const sampling = chosen?.params ?? {};
  const model = chosen?.model ?? status?.model.name ?? null;
  const canThink = useCanThink(model);
  const path = conversation ? pathTo(conversation.messages, conversation.head_id) : [];

  const choose = (change: Change) => {
    if (id === undefined) setFresh({ ...fresh, ...change });
    else patch.mutate({ id, change });
  };

  const ask = async (what: Ask) => {
    // A grounded answer is always the likeliest one: sampling does not apply to it.
    const sourced = !chosen?.tools.length && (chosen?.kb_id || chosen?.web);
    const asked = { ...what, params: sourced ? undefined : sendable(sampling, canThink) };
    if (id !== undefined) return startTurn(queries, id, asked);
    try {
      const made = await api.post<Conversation>("/conversations", { ...fresh, params: sendable(sampling, canThink) });
      queries.setQueryData<Conversation>(conversationKey(made.id), {
        ...made,
        head_id: null,
        messages: made.messages ?? [],
      });
      const started = startTurn(queries, made.id, asked);
      go(`/chat/${made.id}`);
      return await started;
    } catch (refusal) {
      toast(errorText(refusal).text, "bad");
    }
  };

  // An answer is on its way that this page did not ask for, or no longer knows of: it was loaded again meanwhile.
  const underWay = !running && conversation?.messages.some(({ status }) => status === "streaming");
  useEffect(() => {
    if (underWay && id !== undefined) void followTurn(queries, id);
  }, [underWay, id, queries]);

  useEffect(() => {
    if (!running || id === undefined) return;
    const onKey = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !document.querySelector("[role=dialog]")) stopTurn(id);
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [running, id]);

  const isGone = error instanceof ApiError && error.status === 404;
  return (
    <section className={css.talk}>
      <title>{`${conversation?.title || t("chat.title")} · Zhilu 指路`}</title>
      {conversation && <h1 className="visually-hidden">{conversation.title || t("chat.untitled")}</h1>}
      {id === undefined ? (
        <Welcome model={model} onAsk={(content) => void ask({ parent_id: null, content })} />
      ) : conversation ? (
        <Thread
          key={id}
          conversation={conversation}
          path={path}
          running={running}
          failed={failed}
          onAsk={(what) => void ask(what)}
          onHead={(head_id) => patch.mutate({ id, change: { head_id } })}
        />
      ) : error ? (
        <div className={css.middle}>
          {isGone ? (
            <Empty icon={History} title={t("chat.gone")} />
          ) : (
            <ErrorPanel error={error} retry={() => void refetch()} />
          )}
        </div>
      ) : (
        <div className={css.middle}>
          <Skeleton lines={6} />
        </div>
      )}
      <Composer
        key={id ?? "new"}
        draftKey={id ?? "new"}
        model={model}
        kbId={chosen?.kb_id ?? null}
        tools={chosen?.tools ?? []}
        web={chosen?.web ?? false}
        role={chosen?.system_prompt ?? ""}
        running={running}
        disabled={id !== undefined && !conversation}
        sampling={sampling}
        onSampling={(next) => {
          keepSampling(next);
          choose({ params: next });
        }}
        onChoose={choose}
        onSend={(content, attachments) => void ask({ parent_id: path.at(-1)?.id ?? null, content, attachments })}
        onStop={() => id !== undefined && stopTurn(id)}
      />
    </section>
  );
}
