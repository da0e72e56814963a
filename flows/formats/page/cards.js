// The key figures: value, goal, trend and state, and the cost of the month.
const PER_PIECE = ["cost_per_message", "cost_per_segment", "cost_per_call"];
const SAMPLES = {
  delivery_rate: "messages", error_rate: "messages", blocked_rate: "messages",
  seconds_to_send_p95: "messages", cost_per_message: "messages", cost_per_segment: "segments",
  cost_per_call: "calls", cost_of_failures: "failures", forecast_cost: "days",
};
const COMPARISONS = { ">": ">", ">=": "≥", "<": "<", "<=": "≤", "=": "=" };

function figure(kpi, value, currency = chosenScope().currency) {
  const { unit } = definitionOf(kpi);
  return byUnit(value, unit, currency, PER_PIECE.includes(kpi));
}

function goalFigure(kpi, goal) {
  return definitionOf(kpi).unit === "share" ? percent(goal, 0) : figure(kpi, goal);
}

function shown(kpi, found, currency) {
  const isProvisional = found.value !== null && !found.isSettled;
  return element("span", {
    class: isProvisional ? "number provisional" : "number",
    title: isProvisional ? say("page.provisional.about") : null,
  }, figure(kpi, found.value, currency));
}

function sampleOf(kpi, found) {
  const noun = SAMPLES[kpi];
  if (!noun || found.denominator === null || found.value === null) return null;
  return say(`page.sample.${noun}`, { count: number(found.denominator) });
}

function goalLine(kpi, found) {
  if (found.goal === null) return null;
  const goal = say("page.goal", {
    goal: `${COMPARISONS[found.comparison] ?? found.comparison}\u00a0${goalFigure(kpi, found.goal)}`,
  });
  const [mark, className, state] =
    found.isMet === true ? ["✓", "good", say("page.goal.met")]
    : found.isMet === false ? ["✕", "bad", say("page.goal.missed")]
    : found.value === null ? [NO_VALUE, "quiet", say("sheet.goal.no_data")]
    : ["?", "unsure", say("page.goal.too_few")];
  return element("div", { class: className },
    element("span", { class: "mark", "aria-hidden": "true" }, `${mark} `), `${goal}: ${state}`);
}

function trendLine(kpi, found, key = "page.before") {
  if (found.previous === null || found.value === null) return null;
  const { unit, direction } = definitionOf(kpi);
  const before = figure(kpi, found.previous);
  const isSame = before === figure(kpi, found.value);
  const isUp = found.value > found.previous;
  const className = isSame || !direction ? "quiet" : (direction === "up") === isUp ? "good" : "bad";
  const arrow = isSame ? "=" : isUp ? "▲" : "▼";
  const change = isSame || unit === "share" || found.change === null ? ""
    : ` ${percent(Math.abs(found.change))}`;
  return element("div", {},
    element("span", { class: className }, arrow + change),
    element("span", { class: "quiet" }, ` ${say(key, { value: before })}`));
}

// A line without axes: how the KPI moved day by day in the period.
function sparkline(kpi, goal) {
  const period = chosenPeriod();
  const isGmt = definitionOf(kpi).calendar === "gmt";
  const [start, end] = isGmt ? [period.gmtStart, period.gmtEnd] : [period.start, period.end];
  const days = daily(chosenSeries().kpis[kpi], start, end);
  const values = days.map(({ value }) => value).filter((value) => value !== null);
  if (values.length < 2) return null;
  const low = Math.min(...values), high = Math.max(...values);
  const x = (index) => (index / Math.max(days.length - 1, 1)) * 100;
  const y = (value) => (high === low ? 13 : 24 - ((value - low) / (high - low)) * 22);
  const drawing = element("svg", {
    viewBox: "0 0 100 26", preserveAspectRatio: "none", role: "img",
    "aria-label": say("page.spark", {
      first: figure(kpi, values[0]), last: figure(kpi, values.at(-1)),
      low: figure(kpi, low), high: figure(kpi, high),
    }),
  });
  if (goal !== null && goal >= low && goal <= high) {
    drawing.append(element("line", { x1: 0, x2: 100, y1: y(goal), y2: y(goal), class: "spark-goal" }));
  }
  let path = "", isApart = true, last = null;
  days.forEach(({ value }, index) => {
    if (value === null) { isApart = true; return; }
    path += `${isApart ? "M" : "L"}${x(index).toFixed(2)} ${y(value).toFixed(2)}`;
    isApart = false;
    last = [x(index), y(value)];
  });
  drawing.append(element("path", { d: path, class: "spark-line" }));
  drawing.append(element("path", { d: `M${last[0]} ${last[1]}h0`, class: "spark-dot" }));
  return drawing;
}

function card([kpi], found) {
  const { title, description } = definitionOf(kpi);
  const state = found.isMet === true ? " met" : found.isMet === false ? " missed" : "";
  const sample = sampleOf(kpi, found);
  const isProvisional = found.value !== null && !found.isSettled;
  return element("li", { class: `card${state}`, "data-kpi": kpi },
    element("h3", { title: description }, title),
    element("div", { class: "value" }, shown(kpi, found),
      isProvisional ? element("small", { class: "unsure" }, say("page.provisional")) : null),
    element("div", { class: "facts" },
      goalLine(kpi, found), trendLine(kpi, found),
      sample ? element("div", { class: "quiet" }, sample) : null),
    sparkline(kpi, found.goal));
}

function showCards() {
  const kpis = kpisOf(choice.period);
  const cards = FIGURES.definitions.filter(([kpi]) => kpi in kpis).map((row) => card(row, kpis[row[0]]));
  replaceContents("kpis", cards);
  if (!cards.length) {
    replaceContents("kpis", element("li", { class: "empty" }, say("page.no_figures")));
  }
}

// Money of several currencies is never added: what each comes to stands side by side.
function showCurrencies() {
  const scopes = currencyScopes();
  const holder = document.getElementById("currencies");
  holder.hidden = scopes.length < 2;
  if (holder.hidden) return;
  const cell = (kpis, kpi, currency) => element("td", { class: "count", "data-kpi": kpi },
    kpis[kpi] ? shown(kpi, kpis[kpi], currency) : NO_VALUE);
  replaceContents("currencies-table", table(say("page.currencies"), [
    "column.currency", "#sheet.accounts",
    ...["messages_sent", "total_cost"].map((kpi) => `#=${definitionOf(kpi).title}`),
  ], scopes.map(([id, currency, , , accounts]) => {
    const kpis = kpisOf(choice.period, id);
    return [
      id === choice.scope ? currency
        : element("a", { href: addressOf(choice.period, id) }, currency),
      number(accounts), cell(kpis, "messages_sent", currency), cell(kpis, "total_cost", currency),
    ];
  })));
}

function showMonth() {
  const name = chosenMonth();
  const heading = document.getElementById("month-title");
  if (!name) {
    heading.textContent = say("page.month.none");
    replaceContents("month", element("p", { class: "empty" }, say("page.no_figures")));
    return;
  }
  heading.textContent = say("page.month", { month: month(name) });
  const { total_cost: spent, forecast_cost: forecast } = kpisOf(name);
  if (!spent || spent.value === null) {
    replaceContents("month", element("p", { class: "empty" }, say("page.month.no_usage")));
    return;
  }
  const isRunning = forecast && forecast.denominator !== null;
  const budget = forecast?.goal ?? spent.goal;
  const judged = isRunning ? forecast : spent;
  const amount = (name, label, kpi, found, note) => element("div", {},
    element("dt", {}, label),
    element("dd", { "data-amount": name }, shown(kpi, found), note ? element("small", {}, note) : null));
  const amounts = element("dl", { class: "amounts" },
    amount("spent", say(isRunning ? "page.spent_so_far" : "page.spent"), "total_cost", spent,
      spent.isSettled ? null : say("page.provisional")),
    isRunning ? amount("forecast", say("page.forecast"), "forecast_cost", forecast,
      forecast.value === null ? null : say("page.sample.days", { count: number(forecast.denominator) }))
      : null,
    budget === null ? null : amount("budget", say("page.budget"), "total_cost",
      { value: budget, isSettled: true }, null));
  replaceContents("month", amounts, gauge(spent, isRunning ? forecast : null, budget),
    budgetLine(judged, budget), monthTrend(judged === forecast ? "forecast_cost" : "total_cost", judged));
}

function monthTrend(kpi, found) {
  const line = trendLine(kpi, found, "page.month.before");
  line?.classList.add("small");
  return line;
}

function gauge(spent, forecast, budget) {
  const most = Math.max(spent.value, forecast?.value ?? 0, budget ?? 0);
  if (most <= 0) return null;
  const width = (value) => `${Math.max(0, Math.min(100, (value / most) * 100))}%`;
  return element("div", { class: "gauge", "aria-hidden": "true" },
    forecast?.value ? element("i", { class: "forecast", style: { width: width(forecast.value) } }) : null,
    element("i", { class: "spent", style: { width: width(spent.value) } }),
    budget ? element("i", { class: "budget", style: { left: width(budget) } }) : null);
}

function budgetLine(judged, budget) {
  if (budget === null) {
    // The budget is for all accounts of one currency together, so one account has none of its own.
    const other = FIGURES.scopes.find(([id, , , hasBudget]) => hasBudget
      && kpisOf(chosenMonth(), id).total_cost?.goal != null);
    return element("p", { class: "quiet" }, other
      ? say("page.budget.elsewhere", { scope: scopeName(other[0], other[5], other[2]) })
      : say("page.budget.none"));
  }
  const [className, key] =
    judged.isMet === true ? ["good", "page.budget.within"]
    : judged.isMet === false ? ["bad", "page.budget.over"]
    : ["unsure", "page.budget.too_few"];
  return element("p", { class: className, id: "budget" }, say(key));
}

function showDefinitions() {
  replaceContents("definitions", FIGURES.definitions.flatMap(([, title, description]) => [
    element("dt", {}, title), element("dd", {}, description),
  ]));
}
