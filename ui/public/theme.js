// Runs before the first paint (a file of its own: the content security policy allows no inline script).
(function () {
  var theme = localStorage.getItem("zhilu.theme") || "system";
  var dark = theme === "dark" || (theme === "system" && matchMedia("(prefers-color-scheme: dark)").matches);
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  var lang = localStorage.getItem("zhilu.lang") || (/^zh/i.test(navigator.language) ? "zh" : "en");
  document.documentElement.lang = lang === "zh" ? "zh-CN" : "en";
})();
