export const strings = {
  "internals.title": { en: "Internals", zh: "深入原理" },
  "internals.lead": {
    en: "Build each part of a model so that it equals the industrial one. Guess, measure, read the code, then write your own: every number here comes from a run on this machine.",
    zh: "亲手搭出模型的每个部件，与工业级实现逐个数字吻合。先猜，再测，读代码，然后写出自己的版本：这里的每个数字都来自本机的一次运行。",
  },
  "internals.beyond": { en: "Beyond the list", zh: "清单之外" },
  "internals.guess": { en: "Guess first", zh: "先猜" },
  "internals.measure": { en: "Measure it", zh: "测一测" },
  "internals.again": { en: "Measure again", zh: "再测一次" },
  "internals.expected": {
    en: "As you expected: {answer}.",
    zh: "和你的预测一致：{answer}。",
  },
  "internals.unexpected": {
    en: "You expected “{guess}”; measured here: {answer}.",
    zh: "你预测“{guess}”；实测是：{answer}。",
  },
  "internals.measured": { en: "Measured here: {answer}.", zh: "实测：{answer}。" },
  "internals.toGate": { en: "Gate {task}", zh: "关卡 {task}" },
  "internals.needs": {
    en: "This lesson cannot run here yet: PyTorch is missing.",
    zh: "这一课暂时无法在本机运行：缺少 PyTorch。",
  },
  "internals.checks": { en: "Held against the library", zh: "与工业级库对照" },
  "internals.checksHint": {
    en: "Each row is one comparison of this run: what was found, and the bar it has to meet. Break the code, and rows turn red.",
    zh: "每行是这次运行的一项比较：测得的值，以及必须达到的标准。把代码改坏，就会有行变红。",
  },
  "internals.met": { en: "met", zh: "达标" },
  "internals.missed": { en: "missed", zh: "未达标" },
  "internals.numbers": { en: "The numbers", zh: "查看数字" },
  "internals.pictures": { en: "What this run saw", zh: "这次运行看到的" },
  "internals.picturesHint": {
    en: "Drawn from the run above. Point at a line, a cell or a bar to read it.",
    zh: "由上面这次运行画出。把指针移到线、格子或条上可以读数。",
  },
  "internals.code": { en: "Read it, then write your own", zh: "读代码，再写自己的" },
  "internals.codeHint": {
    en: "This is all of it. Copy it, empty the functions and write them anew; the same proof judges yours.",
    zh: "这就是全部代码。复制一份，把函数清空，自己重新写；同一套检验会来判定你的版本。",
  },
  "internals.mine": { en: "The runs use your own version: {file}", zh: "目前运行的是你自己的版本：{file}" },
  "internals.copyStep": { en: "Take the code", zh: "拿走代码" },
  "internals.runStep": { en: "Run yours in its place", zh: "用你的版本运行" },
  "internals.real": { en: "In the product", zh: "产品中的代码" },
  "internals.papers": { en: "Papers", zh: "论文" },
  "internals.future": { en: "not computed", zh: "不计算" },
} as const;
