import { ArrowDown } from "lucide-react";
import { StickToBottom, useStickToBottomContext } from "use-stick-to-bottom";
import { IconButton } from "@/components/Button";
import { ErrorPanel } from "@/components/states";
import { useI18n } from "@/lib/i18n";
import { leafOf, siblings } from "@/lib/tree";
import type { Conversation, Message } from "@/lib/types";
import { Answer, Question } from "./MessageView";
import css from "./Thread.module.css";
import type { Ask, Failed } from "./turns";

interface ThreadProps {
  conversation: Conversation;
  path: Message[];
  running: boolean;
  failed: Failed | null;
  onAsk: (ask: Ask) => void;
  onHead: (id: string) => void;
}

/** The shown branch of a conversation, kept at its end while an answer grows unless one scrolls up. */
export function Thread({ conversation, path, running, failed, onAsk, onHead }: ThreadProps) {
  const { t } = useI18n();
  const last = path.at(-1);
  const turnTo = (id: string) => onHead(leafOf(conversation.messages, id));
  return (
    <StickToBottom className={css.thread} initial="instant" resize="smooth">
      <StickToBottom.Content className={css.content}>
        {path.map((message) => {
          const versions = siblings(conversation.messages, message).map(({ id }) => id);
          const shared = { message, versions, onVersion: turnTo, locked: running };
          return message.role === "user" ? (
            <Question
              key={message.id}
              {...shared}
              onEdit={(content) => onAsk({ parent_id: message.parent_id, content })}
            />
          ) : (
            <Answer
              key={message.id}
              {...shared}
              grounded={(conversation.kb_id !== null || conversation.web) && !message.steps.length}
              searching={(conversation.kb_id !== null || conversation.web) && !conversation.tools.length}
              onAgain={() => onAsk({ parent_id: message.parent_id, content: null })}
            />
          );
        })}
        {failed && (
          <div className={css.failed}>
            {failed.ask.content && <p className={css.unsent}>{failed.ask.content}</p>}
            <ErrorPanel error={failed.error} retry={() => onAsk(failed.ask)} />
          </div>
        )}
        {!running && !failed && last?.role === "user" && (
          <ErrorPanel error={t("answer.failed")} retry={() => onAsk({ parent_id: last.id, content: null })} />
        )}
      </StickToBottom.Content>
      <ToEnd />
      {/* Screen readers hear that an answer is on its way, and then the answer once, not every token. */}
      <div className="visually-hidden" role="status" aria-live="polite">
        {running ? t("answer.answering") : last?.role === "assistant" ? last.content : ""}
      </div>
    </StickToBottom>
  );
}

function ToEnd() {
  const { isAtBottom, scrollToBottom } = useStickToBottomContext();
  if (isAtBottom) return null;
  return <IconButton icon={ArrowDown} label="↓" className={css.toEnd} onClick={() => void scrollToBottom()} />;
}
