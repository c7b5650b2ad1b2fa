"""What the lessons say: a title, a few plain paragraphs, and a question to guess before one looks."""

from __future__ import annotations

from typing import NamedTuple

from zhilu.messages import T

__all__ = ["WORDS", "Words"]


class Words(NamedTuple):
    name: T  # of the tab and the gate
    title: T
    lesson: T
    question: T
    options: tuple[T, ...]


_TIMES = tuple(T(f"{n} times as much", f"{n} 倍") for n in (2, 4))

WORDS: dict[str, Words] = {
    "6.1": Words(
        T("Training", "训练"),
        T("What stands around the gradient", "梯度周围的那些小事"),
        T(
            "Training repeats one step: predict, measure how wrong, find for each weight the direction in which the error falls, take "
            "a small step there. That is ten lines. Whether a model learns is decided by what stands around them.\n\n"
            "Weights have to begin so that numbers keep their size through all layers. The first steps are short (warm-up), because "
            "the optimizer knows nothing yet; the last ones are short to settle. A gradient that is suddenly long is cut (clipping). "
            "Short documents share a row so that nothing is computed for padding, and a mask keeps them from seeing each other. "
            "Where a batch does not fit into memory, it is computed in parts whose gradients add up. And most of the arithmetic can "
            "be done in 16 bits.",
            "训练就是重复一步：预测，量一量错了多少，为每个权重找到让误差下降的方向，往那边走一小步。这只要十行代码。"
            "模型学不学得会，取决于这十行周围的东西。\n\n"
            "权重的初值要让数字穿过所有层后大小不变。最初的步子要小（预热），因为优化器还什么都不知道；最后的步子也要小，好安定下来。"
            "突然很长的梯度要剪短（裁剪）。短文档拼在同一行里，不为填充白算，再用掩码让它们互相看不见。"
            "一批数据放不进内存时，就分成几份来算，梯度加在一起。大部分算术还可以用 16 位完成。",
        ),
        T(
            "The same batch at once, or in two parts of different size whose gradients are added: where do the weights arrive?",
            "同一批数据一次算完，或分成大小不同的两份、把梯度相加：最后的权重怎样？",
        ),
        (T("somewhere else", "到了别处"), T("at the same place, but for rounding", "到同一处，只差舍入")),
    ),
    "6.4": Words(
        T("Parallelism", "并行"),
        T("One model, many machines", "一个模型，多台机器"),
        T(
            "A large model does not fit on one device, or takes too long there. Then the work is split, and everything that is split "
            "has to be sent. There are four ways. Data parallel: everybody has the model and a part of the batch; gradients are "
            "averaged. Sharded (ZeRO-3, FSDP): everybody keeps a part of each layer and gathers the rest just before it is needed. "
            "Tensor parallel: each matrix is cut, and everybody computes a part of each layer. Pipeline: everybody has some layers, "
            "and pieces of the batch follow each other through them.\n\n"
            "The collectives are simple when looked at closely. In a ring, everybody gives a piece to the right and takes one from the "
            "left; after one round every sum is complete somewhere, after two everywhere.\n\n"
            "Below, two real processes on this machine take one training step in each way. They arrive where one process arrives, and "
            "every byte is counted.",
            "大模型在一个设备上放不下，或者太慢，于是把工作切开；凡是切开的，就要通信。有四种切法。数据并行：每个进程都有整个模型和一部分数据，"
            "最后把梯度平均。分片（ZeRO-3、FSDP）：每层每个进程只存一份，用到前再收集其余部分。张量并行：把每个矩阵切开，各算每层的一部分。"
            "流水线：每个进程管几层，数据分成小份一个接一个流过去。\n\n"
            "集合通信细看很简单。排成一圈，每人把一份给右边、从左边拿一份；转一圈后，每个和都在某处算好了，转两圈后人人都有。\n\n"
            "下面是本机的两个真实进程，每种切法各走一步训练。它们到达的地方与单进程相同，每个字节都数过。",
        ),
        T(
            "Sharded training keeps half of the weights in each of two processes. How much does it send, compared with data parallel?",
            "分片训练让两个进程各存一半权重。与数据并行相比，它要发送多少？",
        ),
        (T("just as much", "一样多"), T("one and a half times", "一倍半"), T("three times", "三倍")),
    ),
    "6.5": Words(
        T("PagedAttention", "PagedAttention"),
        T("Memory in pages", "分页的内存"),
        T(
            "A server answers many people at once, and each answer has its cache. Nobody knows how long an answer gets. Who gives each "
            "one a row of the longest possible length leaves most of the memory empty.\n\n"
            "An operating system solved this long ago: memory is cut into pages, and a table says where each page lies. PagedAttention "
            "does the same with the cache. A sequence takes a block when it has filled the last one, anywhere. Two that begin alike "
            "share blocks. When memory is full, the youngest gives its blocks back and computes them again later. Nothing changes in "
            "the answer.\n\n"
            "Below, the product's own engine runs eight requests in memory that is too small for them, watched step by step.",
            "服务器同时回答很多人，每个回答都有自己的缓存。谁也不知道一个回答会有多长；如果给每个都留出最长的一整行，大部分内存就空着。\n\n"
            "操作系统早就解决了这个问题：把内存切成页，用一张表记住每页在哪里。PagedAttention 对缓存也这么做。"
            "一个序列写满了上一块，才再拿一块，在哪里都行。开头相同的两个序列共享块。内存满了，最晚来的把块交回去，以后再重算。答案不会有任何变化。\n\n"
            "下面是产品自己的引擎，在放不下的内存里运行八个请求，一步一步展示给你看。",
        ),
        T(
            "In too little memory, some requests lose their blocks half-way. What happens to their answers?",
            "内存不够时，有的请求中途被收回了块。它们的回答会怎样？",
        ),
        (T("they change", "会改变"), T("they are cut off", "会被截断"), T("they stay the same", "保持不变")),
    ),
    "6.2": Words(
        T("KV cache", "KV 缓存"),
        T("Never compute a word twice", "同一个词不算第二遍"),
        T(
            "A model writes one token at a time. To write the next one, each layer asks every token before it: for its key (what "
            "it is) and its value (what it has to give). These do not change any more once a token stands there. Without a memory, "
            "each new token would run the whole text through the model again, and an answer of 500 tokens would compute the first "
            "word 500 times.\n\n"
            "The cache keeps keys and values. A new token then runs alone and looks back at what is kept. The tokens are exactly the "
            "same, only the work differs: it grew with the square of the length, now it grows with the length.\n\n"
            "The price is memory, and it is what fills a server. So models share keys among heads (GQA, MQA), keep one short vector "
            "from which all keys can be made (DeepSeek's MLA), or keep them in 8 bits.",
            "模型一次只写一个 token。写下一个时，每一层都要问前面的每个 token：它的键（它是什么）和值（它能给出什么）。token 一旦写下，"
            "这两样就不再变化。如果不记住，每写一个新 token 都要让全文重新走一遍模型：500 个 token 的回答，第一个词会被算 500 遍。\n\n"
            "缓存把键和值留下来。新的 token 只需自己走一遍，回头看留下的东西。得到的 token 完全一样，只是工作量不同："
            "原来随长度的平方增长，现在随长度增长。\n\n"
            "代价是内存，服务器的内存主要就被它占满。所以模型让多个头共用键（GQA、MQA），或只存一个能还原所有键的短向量（DeepSeek 的 MLA），"
            "或用 8 位来存。",
        ),
        T(
            "With the cache, an answer twice as long costs how much in all?",
            "有了缓存，写出两倍长的回答，总共要花多少？",
        ),
        (
            T("about the same", "差不多一样"),
            T("about 2 times as much", "大约 2 倍"),
            T("about 4 times as much", "大约 4 倍"),
        ),
    ),
    "6.3": Words(
        T("FlashAttention", "FlashAttention"),
        T("Attention without writing it down", "不写下注意力矩阵的注意力"),
        T(
            "Every token looks at every token before it. For 4,000 tokens that is a table of 16 million numbers for each head, "
            "written to memory, read for the softmax, written again and read once more. Waiting for memory, not arithmetic, is "
            "what makes attention slow.\n\n"
            "FlashAttention never writes that table. It takes a small tile of it, turns the tile into a part of the answer and "
            "forgets it. The difficulty is the softmax: it divides by a sum over the whole row, and the row is not there. The way "
            "out is to keep two numbers for each row, the largest score so far and the sum so far. When a tile brings a larger "
            "score, what was collected before is scaled down by `exp(old - new)` and the sum goes on. Nothing is "
            "approximated: the answer is the same.\n\n"
            "For the gradient, the tiles are computed once more instead of being kept: more arithmetic, less memory, and faster.",
            "每个 token 都要看前面的每个 token。4000 个 token 时，每个头就是一张 1600 万个数的表：写进内存、读出来算 softmax、"
            "再写回去、再读一遍。注意力慢，慢在等内存，而不是算术。\n\n"
            "FlashAttention 从不写出这张表。它取其中一小块，把它变成答案的一部分，然后就忘掉。难点在 softmax：它要除以整行的和，"
            "而整行并不在手上。办法是为每一行记住两个数：目前的最大分数和目前的和。新的一块带来更大的分数时，把之前攒下的结果乘以 "
            "`exp(旧 - 新)` 缩小，再接着加。没有任何近似，答案完全一样。\n\n"
            "求梯度时，这些小块会重新算一遍而不是存下来：算术多一点，内存少得多，反而更快。",
        ),
        T(
            "The text becomes twice as long. How much more working memory does the tiled version need?",
            "文本变成两倍长，分块版本需要多少工作内存？",
        ),
        (T("the same", "一样多"), *_TIMES),
    ),
    "6.6": Words(
        T("Optimizers", "优化器"),
        T("How to walk downhill", "怎样走下坡"),
        T(
            "The gradient says for each weight in which direction the loss falls. An optimizer decides how far to go. SGD goes on "
            "with the speed it had. AdamW gives each weight a step of its own: large where gradients were small and steady, small "
            "where they were large and wild. Lion takes only the sign. Adafactor keeps row and column means of a matrix "
            "instead of all of it. Muon turns a whole matrix's step so that all directions move alike.\n\n"
            "What an optimizer remembers has to stay in memory for every weight, the whole training long. That, not the weights, is "
            "why training takes several times the memory of running a model.",
            "梯度告诉每个权重往哪个方向走损失会下降，优化器决定走多远。SGD 带着原来的速度继续走。AdamW 给每个权重自己的步长："
            "梯度小而稳定的走大步，大而起伏的走小步。Lion 只取正负号。Adafactor 对一个矩阵只记住行和列的平均。"
            "Muon 把整个矩阵的一步转一转，让所有方向走得一样多。\n\n"
            "优化器记住的东西，要为每个权重在整个训练期间留在内存里。训练要用几倍于推理的内存，原因就在这里，而不在权重本身。",
        ),
        T(
            "How many bytes does AdamW remember for each weight, in 32-bit numbers?",
            "用 32 位数时，AdamW 要为每个权重记住多少字节？",
        ),
        (T("4 bytes", "4 字节"), T("8 bytes", "8 字节"), T("16 bytes", "16 字节")),
    ),
}
