// Everything that comes from outside is put in as text, never as HTML.
const WORDS = {
  title: ["Ask the code", "向代码提问"],
  ask: ["Ask", "提问"],
  change: ["Propose a change", "提出修改"],
  working: ["Working…", "处理中…"],
  nothing: ["The code does not say.", "代码中没有提到。"],
  missing: ["Not in the cited code: ", "所引代码中没有："],
  unchecked: ["Not checked", "未核对"],
  apply: ["To write it, on the gateway's machine: ", "要写入，请在网关所在的机器上运行："],
};
const zh = navigator.language.startsWith("zh");
const t = (key) => WORDS[key][zh ? 1 : 0];
const at = (id) => document.getElementById(id);
document.documentElement.lang = zh ? "zh-CN" : "en";
document.title = t("title");
for (const one of document.querySelectorAll("[data-t]")) one.textContent = t(one.dataset.t);
at("question").setAttribute("aria-label", t("ask"));

function make(tag, text = "", ...children) {
  const made = document.createElement(tag);
  made.textContent = text;
  made.append(...children);
  return made;
}

function button(text, act) {
  const made = Object.assign(make("button", text), { type: "button" });
  made.addEventListener("click", act);
  return made;
}

async function call(path, options) {
  const reply = await fetch(path, options);
  if (!reply.ok) throw new Error((await reply.json().catch(() => ({}))).detail ?? `HTTP ${reply.status}`);
  return reply;
}

const post = (path, body) =>
  call(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
const tell = (said) => (at("state").textContent = said ? String(said.message ?? said) : "");

/** Shows a file, with lines `start` to `end` marked. */
async function open(path, start = 0, end = 0) {
  const { text } = await (await call(`/api/file?path=${encodeURIComponent(path)}`)).json();
  const lines = text.split("\n").map((line, index) => `${String(index + 1).padStart(4)}  ${line}\n`);
  at("name").textContent = path;
  at("text").replaceChildren(
    ...(start
      ? [lines.slice(0, start - 1).join(""), make("mark", lines.slice(start - 1, end).join("")), lines.slice(end).join("")]
      : [lines.join("")]),
  );
  at("text").querySelector("mark")?.scrollIntoView({ block: "center" });
}

/** The events of a stream, as {event, data}. */
async function* events(reply) {
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let rest = ""; ; ) {
    const { value, done } = await reader.read();
    if (done) return;
    const blocks = (rest + value).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const lines = block.split("\n");
      const field = (name) => lines.find((line) => line.startsWith(name))?.slice(name.length).trim() ?? "";
      yield { event: field("event:"), data: JSON.parse(field("data:") || "null") };
    }
  }
}

function sentence({ text, cites, missing, is_founded }) {
  const places = cites.map(({ path, start, end }) =>
    button(`${path}:${start}-${end}`, () => open(path, start, end).catch(tell)),
  );
  const doubt = missing.length ? t("missing") + missing.join(", ") : is_founded ? "" : t("unchecked");
  return make("div", "", make("p", text), ...places, make("small", doubt));
}

/** Runs one wish with a card of its own; the buttons wait meanwhile. */
async function carded(work) {
  const asked = at("question").value.trim();
  if (!asked) return;
  const said = make("p", t("working"));
  const card = make("article", "", make("h2", asked), said);
  at("answers").prepend(card);
  for (const one of at("ask").querySelectorAll("button")) one.disabled = true;
  try {
    await work(asked, said, card);
    at("question").value = "";
  } catch (error) {
    said.textContent = String(error.message ?? error);
  } finally {
    for (const one of at("ask").querySelectorAll("button")) one.disabled = false;
  }
}

at("ask").addEventListener("submit", (event) => {
  event.preventDefault();
  void carded(async (question, said, card) => {
    let text = "";
    for await (const { event: name, data } of events(await post("/api/ask", { question }))) {
      if (name === "error") throw new Error(data.error.message);
      if (name === "text") said.textContent = text += data.text;
      if (name === "done") {
        said.textContent = data.status === "nothing" ? t("nothing") : "";
        if (data.status !== "nothing") card.append(...data.sentences.map(sentence));
      }
    }
  });
});

at("change").addEventListener("click", () =>
  carded(async (instruction, said, card) => {
    const made = await (await post("/api/changes", { instruction })).json();
    if (made.status !== "proposed") throw new Error(made.problem?.[zh ? "zh" : "en"] ?? made.status);
    said.textContent = `${t("apply")}zhilu code apply REPO ${made.id}`;
    card.append(make("pre", made.diff));
  }),
);

const list = await (await call("/api/files").catch((error) => (tell(error), new Response("[]")))).json();
at("files").replaceChildren(...list.map(({ path }) => make("li", "", button(path, () => open(path).catch(tell)))));
