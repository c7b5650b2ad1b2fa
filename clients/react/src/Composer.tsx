import { useEffect, useRef, useState, type FormEvent, type KeyboardEvent } from "react";
import { attached, type Attachment } from "./attach";
import { knowledgeBases, type KnowledgeBase } from "./knowledge";
import type { How } from "./useChat";
import { words } from "./words";

interface ComposerProps {
  busy: boolean;
  how: How;
  onHow: (how: How) => void;
  onSend: (text: string, files: Attachment[]) => void;
  onStop: () => void;
  onProblem: (problem?: string) => void;
}

/** Where one types, with the files to go along and the choice of what the answer may use. */
export function Composer({ busy, how, onHow, onSend, onStop, onProblem }: ComposerProps) {
  const [text, setText] = useState("");
  const [files, setFiles] = useState<Attachment[]>([]);
  const [kbs, setKbs] = useState<KnowledgeBase[]>([]);
  const picker = useRef<HTMLInputElement>(null);

  useEffect(() => {
    const leaving = new AbortController();
    knowledgeBases(leaving.signal).then(setKbs, () => undefined); // a server without them is asked all the same
    return () => leaving.abort();
  }, []);

  const add = async (chosen: Iterable<File>) => {
    onProblem(undefined);
    for (const file of chosen) {
      try {
        const read = await attached(file);
        setFiles((before) => [...before, read]);
      } catch (error) {
        onProblem(error instanceof Error ? error.message : String(error));
      }
    }
  };
  const ask = (event: FormEvent) => {
    event.preventDefault();
    if (!text.trim() || busy) return;
    onSend(text.trim(), files);
    setText("");
    setFiles([]);
  };
  const keys = (event: KeyboardEvent<HTMLTextAreaElement>) => {
    // While an input method is open, Enter chooses a word (Chinese, Japanese).
    if (event.key === "Enter" && !event.shiftKey && !event.nativeEvent.isComposing) ask(event);
    if (event.key === "Escape" && busy) onStop();
  };

  return (
    <form
      onSubmit={ask}
      onDragOver={(event) => event.preventDefault()}
      onDrop={(event) => {
        event.preventDefault();
        void add(event.dataTransfer.files);
      }}
    >
      {files.length > 0 && (
        <ul className="files">
          {files.map((file, index) => (
            <li key={index}>
              {file.name}
              <button
                type="button"
                aria-label={`${words.remove} ${file.name}`}
                onClick={() => setFiles(files.filter((_, other) => other !== index))}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
      )}
      <textarea
        aria-label={words.ask}
        placeholder={words.ask}
        rows={2}
        autoFocus
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={keys}
      />
      <div className="row">
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          onChange={(event) => {
            void add([...(event.target.files ?? [])]);
            event.target.value = ""; // the same file may be chosen again
          }}
        />
        <button type="button" disabled={how.kb !== ""} onClick={() => picker.current?.click()}>
          {words.attach}
        </button>
        <label>
          <input
            type="checkbox"
            checked={how.tools}
            disabled={how.kb !== ""}
            onChange={(event) => onHow({ ...how, tools: event.target.checked })}
          />
          {words.tools}
        </label>
        {kbs.length > 0 && (
          <label>
            {words.answerFrom}{" "}
            <select value={how.kb} onChange={(event) => onHow({ ...how, kb: event.target.value })}>
              <option value="">{words.model}</option>
              {kbs.map(({ id, name }) => (
                <option key={id} value={id}>
                  {name}
                </option>
              ))}
            </select>
          </label>
        )}
        <span className="gap" />
        {busy ? (
          <button type="button" data-stop onClick={onStop}>
            {words.stop}
          </button>
        ) : (
          <button type="submit" disabled={!text.trim()}>
            {words.send}
          </button>
        )}
      </div>
    </form>
  );
}
