export const strings = {
  "jobs.title": { en: "Jobs", zh: "任务" },
  "jobs.lead": {
    en: "Long work runs in its own process: it goes on when this page or the server is closed.",
    zh: "耗时的工作在独立进程里运行：关闭页面或服务后仍会继续。",
  },
  "jobs.empty": { en: "No job yet", zh: "还没有任务" },
  "jobs.emptyHint": {
    en: "Reading documents, pulling a model and checking gates show up here.",
    zh: "读取文档、下载模型、检查关卡时，会显示在这里。",
  },
  "jobs.all": { en: "All", zh: "全部" },
  "jobs.log": { en: "Log", zh: "日志" },
  "jobs.noLog": { en: "Nothing has been logged yet.", zh: "还没有日志。" },
  "jobs.kind": { en: "Kind", zh: "类型" },
  "jobs.attempt": { en: "Attempt", zh: "第几次" },
  "jobs.began": { en: "Started", zh: "开始" },
  "jobs.took": { en: "Took", zh: "用时" },
  "jobs.params": { en: "Given", zh: "参数" },
  "jobs.result": { en: "Result", zh: "结果" },
  "jobs.noneInFilter": { en: "No job in this state.", zh: "没有处于此状态的任务。" },
} as const;
