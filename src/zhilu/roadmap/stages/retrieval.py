"""Stage 4."""

from zhilu.messages import T
from zhilu.roadmap.task import Stage, Task

__all__ = ["RETRIEVAL"]

RETRIEVAL = Stage(
    "4",
    T("RAG", "RAG 检索增强生成"),
    T("Answers from your own documents, with the passage they come from", "用你自己的文档回答，并给出出处"),
    T(
        "Vector databases: Milvus, pgvector, Chroma, FAISS. Frameworks to interoperate with: LangChain, LlamaIndex",
        "向量数据库：Milvus、pgvector、Chroma、FAISS。可互通的框架：LangChain、LlamaIndex",
    ),
    (
        Task(
            "4.1",
            T("Turn text into vectors", "把文本变成向量"),
            T(
                "the embedder loads; paraphrases are nearer than strangers, in the languages of the user's own documents",
                "向量模型能加载；在你文档所用的语言里，同义句比无关句更近",
            ),
            T(
                "Search by meaning compares vectors. An embedder trained on English only ruins Chinese retrieval, and nothing warns you.",
                "语义检索比较的是向量。只用英文训练的向量模型会毁掉中文检索，而且不会有任何提示。",
            ),
            T(
                "Make a knowledge base on the Knowledge page; Zhilu chooses the embedder by the language and says so.",
                "在“知识库”页新建知识库；指路会按语言选择向量模型并说明理由。",
            ),
            "zhilu kb create mine",
        ),
        Task(
            "4.2",
            T("Run a vector database", "运行一个向量数据库"),
            T("the store passes the conformance run; survives a kill -9", "存储通过一致性测试；被 kill -9 后数据完好"),
            T(
                "Documents, chunks and vectors must stay together when the power goes. "
                "Many indexes lose what was just written, or return deleted passages.",
                "断电时，文档、分块和向量必须保持一致。很多索引会丢失刚写入的数据，或返回已删除的段落。",
            ),
            T(
                "The embedded store is one SQLite file per knowledge base; add documents and look at them on the Knowledge page.",
                "内置存储是每个知识库一个 SQLite 文件；在“知识库”页添加并查看文档。",
            ),
            "zhilu kb list",
        ),
        Task(
            "4.3",
            T(
                "The whole flow: document → split → embed → retrieve → fill the prompt → generate",
                "完整流程：文档 → 切分 → 向量化 → 检索 → 填入提示 → 生成",
            ),
            T(
                "a question on the user's documents gets an answer whose citations contain it",
                "就你的文档提问，得到的回答其引用中确实包含答案",
            ),
            T(
                "This is the most wanted AI application in companies. An answer without a place to check it is worth little.",
                "这是企业最需要的 AI 应用。没有出处可查的回答价值不大。",
            ),
            T(
                "Add a document, ask, and click a citation: the passage is marked in the document. Each question leaves a trace of every step.",
                "添加文档、提问、点击引用：段落会在原文中高亮。每个问题都会留下每一步的记录。",
            ),
            'zhilu kb ask mine "..."',
        ),
        Task(
            "4.4",
            T("Measured retrieval", "用指标衡量检索"),
            T(
                "hit@k, MRR, nDCG on a question set made from the user's documents; splitter / store / rewrite / rerank compared",
                "在由你的文档生成的问题集上计算 hit@k、MRR、nDCG；对比切分 / 存储 / 改写 / 重排",
            ),
            T(
                "Changes that look clever often make retrieval worse. Only numbers on your own documents tell.",
                "看似聪明的改动常常让检索变差。只有在你自己的文档上测出的数字才算数。",
            ),
            T(
                "Let the model propose questions about your documents, read and correct them, then measure: the Scoreboard tab of a "
                "knowledge base, or the commands. Compare two ways with `--against chunk_tokens=110` and look at each question that failed.",
                "让模型就你的文档出题，审阅修改后再评测：在知识库的“评测”页，或用命令。用 `--against chunk_tokens=110` 对比两种配置，"
                "并查看每个没答对的问题。",
            ),
            "zhilu kb questions mine --make 20 && zhilu kb eval mine",
        ),
        Task(
            "4.5",
            T("Search-augmented question answering", "联网搜索问答"),
            T(
                "a question outside the documents is answered from a (configured) web search with its sources",
                "文档之外的问题由（已配置的）网络搜索回答，并附来源",
            ),
            T(
                "What the documents do not hold has to come from somewhere, with its source, or be refused.",
                "文档里没有的内容，要么来自可查的来源，要么就应当拒答。",
            ),
            T(
                "Choose who searches (SearXNG, Brave, Tavily, Bocha, DuckDuckGo, or a folder of pages that works offline), then ask: "
                "the pages are read, and the answer cites them.",
                "选择由谁搜索（SearXNG、Brave、Tavily、博查、DuckDuckGo，或可离线使用的网页文件夹），然后提问：指路会阅读网页并标明出处。",
            ),
            'zhilu settings set web_search searxng && zhilu web ask "..."',
        ),
    ),
)
