// Files beside a question: text stands in the message, a picture goes along as a part that models with eyes can read.
import type { Part } from "./stream";

export interface Attachment {
  name: string;
  kind: "text" | "image";
  /** The text, or the picture as a data: address. */
  content: string;
}

const MOST_TEXT = 20_000; // characters: a quarter of what a model with 32,000 tokens reads
const MOST_BYTES = 4_000_000;

/** Throws where a file is too large, or holds neither text nor a picture. */
export async function attached(file: File): Promise<Attachment> {
  if (file.size > MOST_BYTES) throw new Error(`${file.name}: more than 4 MB.`);
  if (file.type.startsWith("image/")) return { name: file.name, kind: "image", content: await dataUrl(file) };
  let content: string;
  try {
    content = new TextDecoder("utf-8", { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name}: not a text file.`);
  }
  if (content.length > MOST_TEXT) throw new Error(`${file.name}: more than ${MOST_TEXT} characters.`);
  return { name: file.name, kind: "text", content };
}

function dataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error ?? new Error(file.name));
    reader.readAsDataURL(file);
  });
}

/** A question with its files, as the model is sent it. */
export function withFiles(question: string, files: readonly Attachment[]): string | Part[] {
  const texts = files
    .filter(({ kind }) => kind === "text")
    .map(({ name, content }) => `File ${name}:\n\n${content}\n\n`);
  const text = texts.join("") + question;
  const pictures = files.filter(({ kind }) => kind === "image");
  if (!pictures.length) return text; // plain text: servers that know no parts take it too
  return [
    ...pictures.map(({ content }): Part => ({ type: "image_url", image_url: { url: content } })),
    { type: "text", text },
  ];
}
