/** Files on their way to a question: each is read by the server as soon as it is chosen. */
import { useRef, useState } from "react";
import { useErrorText } from "@/components/states";
import { toast } from "@/lib/toast";
import { attach, type Attachment } from "./api";

/** As many as the server takes with one question. */
const MOST = 8;

export interface Chosen {
  key: number;
  name: string;
  read: Attachment | null;
}

export interface Files {
  chosen: Chosen[];
  ids: string[];
  busy: boolean;
  add: (files: File[]) => void;
  remove: (key: number) => void;
  clear: () => void;
}

export function useFiles(): Files {
  const errorText = useErrorText();
  const [chosen, setChosen] = useState<Chosen[]>([]);
  const next = useRef(0);
  const remove = (key: number) => setChosen((now) => now.filter((one) => one.key !== key));
  const add = (files: File[]) => {
    for (const file of files.slice(0, Math.max(MOST - chosen.length, 0))) {
      const key = next.current++;
      setChosen((now) => [...now, { key, name: file.name, read: null }]);
      attach(file).then(
        (read) => setChosen((now) => now.map((one) => (one.key === key ? { ...one, name: read.name, read } : one))),
        (refusal: unknown) => {
          remove(key);
          toast(`${file.name}: ${errorText(refusal).text}`, "bad");
        },
      );
    }
  };
  return {
    chosen,
    ids: chosen.flatMap(({ read }) => (read ? [read.id] : [])),
    busy: chosen.some(({ read }) => read === null),
    add,
    remove,
    clear: () => setChosen([]),
  };
}
