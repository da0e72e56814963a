// Before anything is painted: the theme chosen here last time, else the one of the system.
(function () {
  "use strict";
  const KEY = "twilio-warehouse-theme";
  const system = matchMedia("(prefers-color-scheme: dark)");
  function stored() {
    try { return localStorage.getItem(KEY); } catch { return null; }  // a file may have no storage
  }
  function apply(theme) {
    document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("themechange"));
  }
  const chosen = stored();
  apply(chosen === "dark" || chosen === "light" ? chosen : system.matches ? "dark" : "light");
  system.addEventListener("change", (event) => {
    if (!stored()) apply(event.matches ? "dark" : "light");
  });
  document.addEventListener("themetoggle", () => {
    const theme = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem(KEY, theme); } catch { /* it lasts as long as the page is open */ }
    apply(theme);
  });
})();
