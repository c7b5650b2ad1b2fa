"""Stage 5."""

from zhilu.messages import T
from zhilu.roadmap.task import Stage, Task

__all__ = ["APPLICATIONS"]

APPLICATIONS = Stage(
    "5",
    T("Applications", "应用工程"),
    T("Products around a model: tools, agents, front end and back end", "围绕模型做产品：工具、智能体、前端与后端"),
    T(
        "OpenAI-compatible API, function calling, agents, React, Java, Node.js",
        "OpenAI 兼容 API、函数调用、智能体、React、Java、Node.js",
    ),
    (
        Task(
            "5.1",
            T("Prompt engineering", "提示工程"),
            T("two prompt versions compared on a scored set", "在打分集上对比两个提示版本"),
            T(
                "A prompt is part of the program: it deserves versions and tests as code does.",
                "提示词是程序的一部分：应当像代码一样有版本、有测试。",
            ),
            T(
                "Compare the two versions of a prompt that came with Zhilu, then write two of your own and compare those.",
                "先对比随程序附带的两个版本，再自己写两个版本来对比。",
            ),
            "zhilu prompt compare support-en 1 2",
        ),
        Task(
            "5.2",
            T("Function calling", "函数调用"),
            T(
                "the right tool with valid arguments on a held-out set; figure: exact-match rate",
                "在留出集上选对工具且参数有效；指标：完全匹配率",
            ),
            T(
                "A tool call turns talk into action: the model says which function with which arguments, your program runs it.",
                "函数调用把对话变成行动：模型说明调用哪个函数、什么参数，由你的程序执行。",
            ),
            T(
                "The API takes `tools` as OpenAI's does; send your functions with a request.",
                "API 与 OpenAI 一样支持 `tools`；把你的函数随请求发送即可。",
            ),
            "zhilu up",
        ),
        Task(
            "5.3",
            T("Agents (autonomous task chains)", "智能体（自主任务链）"),
            T(
                "a multi-step task reaches its goal state; trace stored; approval asked before a dangerous tool",
                "多步任务到达目标状态；保存轨迹；使用危险工具前征求同意",
            ),
            T(
                "An agent is a loop around tool calls. What makes it usable is that one can see each step and stop the dangerous ones.",
                "智能体就是围绕工具调用的循环。它之所以可用，是因为每一步都看得见、危险的步骤拦得住。",
            ),
            T(
                "Run one on the Agents page, answer what it asks, and read its trace step by step.",
                "在“智能体”页运行一个，答复它的询问，再逐步查看它的轨迹。",
            ),
            "zhilu agent tools",
        ),
        Task(
            "5.4",
            T("Long text", "长文本处理"),
            T(
                "a question whose answer lies deep in a text longer than the context "
                "window is answered (map-reduce, retrieval, sliding window compared)",
                "答案深藏在超出上下文窗口的长文本中，仍能答对（对比 map-reduce、检索、滑动窗口）",
            ),
            T(
                "Contracts and reports are longer than any window, and answers in the middle of a long prompt are easily overlooked.",
                "合同和报告往往比任何窗口都长，而且长提示中间的内容最容易被忽略。",
            ),
            T(
                "Ask a long file of your own in every way there is, and see what each read, said and cost.",
                "用所有方法就自己的一份长文件提同一个问题，看每种方法读了什么、说了什么、花了多少。",
            ),
            "zhilu longtext compare FILE QUESTION",
        ),
        Task(
            "5.5",
            T("Multimodal: image and speech", "多模态：图像与语音"),
            T("an image question and a spoken question are answered", "能回答一个图片问题和一个语音问题"),
            T(
                "Much of what people ask about is a screenshot, a photo of a form, or spoken.",
                "人们的很多问题其实是一张截图、一张表单照片，或是直接说出来的。",
            ),
            T(
                "Speak a question, have it written down, and ask about a screenshot.",
                "把问题说出来转成文字，再就一张截图提问。",
            ),
            'zhilu media look FILE "QUESTION"',
        ),
        Task(
            "5.6",
            T("React chat UI", "React 对话界面"),
            T(
                "the shipped UI, and a small React sample a developer can take home, stream from the gateway",
                "自带界面和可带走的小型 React 示例都能从网关流式接收",
            ),
            T(
                "Streaming, stopping, retrying and citing are what make a chat feel right, and each is a little harder than it looks.",
                "流式、停止、重试、引用：对话体验好不好全在这些细节，而每一个都比看上去难一点。",
            ),
            T(
                "The workbench is such a UI: start it and watch its requests in the browser's developer tools. Then take the small one "
                "home: cd clients/react && npm ci && npm run dev. It streams, stops, takes files, calls functions after you agree, and "
                "cites a knowledge base. The gate builds it and watches both pages in a browser while the model writes.",
                "工作台本身就是这样的界面：启动它，在浏览器开发者工具里观察它的请求。再把小的那个带走：cd clients/react && npm ci && "
                "npm run dev。它能流式显示、停止、附加文件、在你同意后调用函数，还能引用知识库。关卡会构建它，并在模型书写时用浏览器观察这两个页面。",
            ),
            "zhilu check 5.6",
        ),
        Task(
            "5.7",
            T("A Java and a Node back end in front of the model", "在模型前面搭 Java 与 Node 后端"),
            T("both samples run and stream", "两个示例都能运行并流式输出"),
            T(
                "Users, permissions and billing belong to your back end; it passes the stream through without holding it up.",
                "用户、权限和计费属于你的后端；它要让数据流顺畅通过，而不是攒着不发。",
            ),
            T(
                "Start one of the two samples, clients/node/backend.mjs or clients/java/Backend.java, ask it with curl -N, and read how "
                "each piece is passed on. The gate runs both.",
                "启动两个示例之一（clients/node/backend.mjs 或 clients/java/Backend.java），用 curl -N 提问，看它如何逐段转发。"
                "关卡会运行这两个示例。",
            ),
            "zhilu check 5.7",
        ),
    ),
    T(
        "Typical projects, each with its own acceptance run: document question answering, AI "
        "customer service, code assistant, AI report generation, enterprise knowledge base.",
        "典型项目（各有验收测试）：文档问答、AI 客服、代码助手、AI 报告生成、企业知识库。",
    ),
)
