// Puts the page together: what is chosen, and all that follows from it.
function addOptions(select, options) {
  select.replaceChildren(...options.map(([value, text]) => element("option", { value }, text)));
}

function readAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  const periods = FIGURES.periods.map(([name]) => name);
  const scopes = offeredScopes().map(([id]) => id);
  const fitting = (value, known, usual) => known.includes(value) ? value : usual;
  choice.period = fitting(wanted.get("period"), periods, fitting("last_30_days", periods, periods[0]));
  choice.scope = fitting(wanted.get("account"), scopes, scopes[0]);
}

function addressOf(period, scope) {
  return `#${new URLSearchParams({ period, account: scope })}`;
}

function writeAddress() {
  try { history.replaceState(null, "", addressOf(choice.period, choice.scope)); } catch { /* where a file may not, it goes without */ }
}

function showChoice() {
  const { kind, start, end } = chosenPeriod();
  const scope = chosenScope();
  const days = kind ? `${date(start)} – ${date(dayAfter(end, -1))}` : "";
  document.getElementById("chosen").textContent = [periodName(choice.period), days,
    scopeName(scope.id, scope.name, scope.isAll)].filter(Boolean).join(" · ");
  document.getElementById("period").value = choice.period;
  document.getElementById("account").value = choice.scope;
}

function show() {
  showChoice();
  showCurrencies();
  showCards();
  showMonth();
  showDirections();
  showGroups();
  showErrors();
  showOverlaps();
  showCategories();
  showRecipients();
  showCompleteness();
  showFreshness();
}

function showHead() {
  const { asOf, timezone, id } = FIGURES.run;
  document.getElementById("as-of").textContent =
    asOf ? say("page.as_of", { time: instant(asOf), timezone }) : say("page.never_read");
  document.getElementById("run").textContent = id ? `${say("sheet.run")} ${id}` : "";
  addOptions(document.getElementById("period"),
    FIGURES.periods.map(([name]) => [name, periodName(name)]));
  addOptions(document.getElementById("account"),
    offeredScopes().map(([id, , isAll, , , name]) => [id, scopeName(id, name, isAll)]));
  document.getElementById("account").disabled = isOnlyAccount();
}

function choose() {
  choice.period = document.getElementById("period").value;
  choice.scope = document.getElementById("account").value;
  writeAddress();
  show();
  drawCharts();
}

function showTheme() {
  const isDark = document.documentElement.dataset.theme === "dark";
  document.getElementById("theme").setAttribute("aria-pressed", String(isDark));
}

// On paper charts are as wide as it is, and dark themes waste ink.
let themeOnScreen = null;
function toPaper() {
  themeOnScreen = document.documentElement.dataset.theme;
  document.documentElement.dataset.theme = "light";
  for (const name of Object.keys(CHARTS)) {
    drawChart(name);
    const { plot } = partsOf(name);
    if (plot.data) Plotly.relayout(plot, { width: 660, autosize: false });
  }
}

function toScreen() {
  document.documentElement.dataset.theme = themeOnScreen;
  for (const name of Object.keys(CHARTS)) {
    const { plot } = partsOf(name);
    if (plot.data) Plotly.relayout(plot, { width: null, autosize: true });
  }
  drawCharts();
}

function notice(text) {
  const holder = document.getElementById("notice");
  holder.textContent = text;
  holder.hidden = false;
}

function listen() {
  for (const id of ["period", "account"]) {
    document.getElementById(id).addEventListener("change", choose);
  }
  document.getElementById("choice").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("theme").addEventListener("click",
    () => document.dispatchEvent(new Event("themetoggle")));
  document.getElementById("print").addEventListener("click", () => window.print());
  addEventListener("hashchange", () => { readAddress(); show(); drawCharts(); });
}

async function start() {
  showTheme();
  if (!("DecompressionStream" in window)) { notice(say("page.old_browser")); return; }
  FIGURES = JSON.parse(await unpack("figures"));
  showDefinitions();
  showHead();
  listen();
  if (!FIGURES.periods.length || !FIGURES.scopes.length) {
    notice(say("page.nothing"));
    document.documentElement.dataset.drawn = "nothing";
    document.body.classList.add("is-empty");
    return;
  }
  readAddress();
  show();
  performance.mark("figures shown");
  // The library runs like any script: only with the text whose hash the page's policy names.
  const library = await unpack("library");
  document.head.append(element("script", {}, library));
  registerLanguage();
  performance.mark("library ready");
  await drawCharts();
  performance.mark("charts drawn");
  document.addEventListener("themechange", () => { showTheme(); drawCharts(); });
  addEventListener("beforeprint", toPaper);
  addEventListener("afterprint", toScreen);
}

start().catch((error) => {
  notice(say("page.broken"));
  throw error;
});
