"""Stage 2."""

from zhilu.messages import T
from zhilu.roadmap.task import Stage, Task

__all__ = ["INFERENCE"]

INFERENCE = Stage(
    "2",
    T("Inference and serving", "推理与部署"),
    T("A model behind an API that any program can call", "让任何程序都能通过 API 调用模型"),
    T(
        "vLLM (the industry's main one), FastChat (legacy), Ollama (light, personal), LMDeploy "
        "(fast); Zhilu's own embedded engine, llama.cpp, any OpenAI-compatible URL",
        "vLLM（业界主流）、FastChat（旧式）、Ollama（轻量、个人）、LMDeploy（高速）；以及指路自带引擎、llama.cpp、任何 OpenAI 兼容地址",
    ),
    (
        Task(
            "2.1",
            T(
                "Load a Hugging Face model (hub, ModelScope, local folder)",
                "加载 Hugging Face 模型（Hub、ModelScope、本地目录）",
            ),
            T(
                "weights load, a greedy answer equals the reference implementation's token by token",
                "权重能加载，贪心解码的回答与参考实现逐 token 一致",
            ),
            T(
                "Open models come as a folder: configuration, tokenizer, weights in safetensors. "
                "An engine that loads them slightly wrong still answers, only worse.",
                "开源模型就是一个目录：配置、分词器、safetensors 权重。引擎加载得稍有偏差也能回答，只是变差了。",
            ),
            T(
                "On the Models page, or with `zhilu model pull` and `zhilu model import`, bring a model; then start it.",
                "在“模型”页，或用 `zhilu model pull` 与 `zhilu model import` 引入模型，然后启动它。",
            ),
            "zhilu model list",
        ),
        Task(
            "2.2",
            T("OpenAI-compatible API", "OpenAI 兼容 API"),
            T(
                "the official OpenAI Python client passes the conformance run (chat, stream, tools, JSON schema, embeddings, errors)",
                "官方 OpenAI Python 客户端通过一致性测试（对话、流式、工具、JSON schema、向量、错误）",
            ),
            T(
                "This protocol is the plug of the whole industry: program against it once, and change model and engine freely.",
                "这个协议是整个行业的标准接口：对着它编程一次，就能随意更换模型和引擎。",
            ),
            T(
                "`zhilu up` serves it at http://127.0.0.1:8642/v1; point any OpenAI client there.",
                "`zhilu up` 会在 http://127.0.0.1:8642/v1 提供服务，任何 OpenAI 客户端都能连上。",
            ),
            "zhilu up",
        ),
        Task(
            "2.3",
            T(
                "Sampling parameters (max_tokens, temperature, top_p, …)",
                "采样参数（max_tokens、temperature、top_p 等）",
            ),
            T(
                "each provably changes or bounds the output; an unknown or unsupported one is refused, never ignored",
                "每个参数都能被证明会改变或限制输出；未知或不支持的参数会被拒绝，而不是忽略",
            ),
            T(
                "They trade variety against reliability. Many servers silently ignore "
                "what they do not know, and one tunes a knob that is not connected.",
                "它们在多样性与可靠性之间取舍。很多服务会悄悄忽略不认识的参数，让人白调半天。",
            ),
            T(
                "Move them in the settings of a conversation on the Chat page, or send them in a request.",
                "在“对话”页的会话设置里调节，或直接写在请求里。",
            ),
            "zhilu chat",
        ),
        Task(
            "2.4",
            T("Inference with LoRA weights", "加载 LoRA 权重推理"),
            T(
                "adapter-applied proof: logits with and without the adapter differ at the served endpoint, and equal the trainer's",
                "证明适配器真的生效：服务端有无适配器的 logits 不同，且与训练器一致",
            ),
            T(
                "An adapter is a few megabytes that change a model's behaviour; one base "
                "can serve many of them. Forgetting to apply it raises no error.",
                "适配器只有几 MB，却能改变模型的行为；一个基座可以同时服务多个。忘了加载它也不会报错。",
            ),
            T(
                "In this version the embedded engine serves base models only. vLLM takes "
                "an adapter with --lora-modules; making one of your own is stage 3.",
                "这个版本的内置引擎只服务基座模型。vLLM 可用 --lora-modules 加载适配器；制作自己的适配器在第 3 阶段。",
            ),
        ),
        Task(
            "2.5",
            T("Call it from Node.js and from Java", "用 Node.js 和 Java 调用"),
            T(
                "the two sample programs run against the live endpoint and the gateway saw them",
                "两个示例程序连上真实端点运行，且网关收到了请求",
            ),
            T(
                "Your product is probably not written in Python. The model is a service like any other.",
                "你的产品多半不是用 Python 写的。模型和其他服务没有两样。",
            ),
            T(
                "Start `zhilu up`, then run the programs of clients/node and clients/java, and change them into your own.",
                "启动 `zhilu up`，运行 clients/node 和 clients/java 里的程序，再把它们改成你自己的。",
            ),
            "zhilu up",
        ),
    ),
)
