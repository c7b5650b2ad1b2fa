export const isChinese = navigator.language.startsWith("zh");

export const words = isChinese
  ? {
      ask: "输入问题",
      send: "发送",
      stop: "停止",
      clear: "清空",
      again: "重新回答",
      waiting: "正在回答",
      attach: "附加文件",
      remove: "移除",
      tools: "工具",
      answerFrom: "回答依据",
      model: "模型本身",
      sources: "来源",
      may: "允许执行吗？",
      allow: "允许",
      refuse: "不允许",
    }
  : {
      ask: "Ask something",
      send: "Send",
      stop: "Stop",
      clear: "Clear",
      again: "Answer again",
      waiting: "Answering",
      attach: "Attach files",
      remove: "Remove",
      tools: "Tools",
      answerFrom: "Answer from",
      model: "the model itself",
      sources: "Sources",
      may: "May this run?",
      allow: "Allow",
      refuse: "Refuse",
    };
