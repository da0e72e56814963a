// The charts, drawn with Plotly, each with its figures as a table below it.
const FEW = () => definitionOf("delivery_rate").minimumSample || 1;
const WEEK = Array.from({ length: 7 }, (_, index) => `2024-01-0${index + 1}`);  // Monday to Sunday
let direction = "outbound";

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function seriesLook(index) {
  const isHatched = index >= 8;
  return { color: color(`series-${(index % 8) + 1}`), pattern: isHatched ? "/" : "", isHatched };
}

// A channel keeps its colour, whatever else there is.
function channelLook(channel) {
  const known = new Set(Object.values(FIGURES.days.series)
    .flatMap(({ channels }) => channels.map(([, name]) => name)));
  return seriesLook([...known].sort().indexOf(channel));
}

function legendOf(entries) {
  return element("ul", { class: "legend" }, entries.map(({ name, color: tone, ...look }) =>
    element("li", {},
      element("i", { style: { color: tone },
        class: look.isHatched ? "hatched" : look.isLine ? "line" : look.isDashed ? "dashed" : null }),
      element("span", {}, name))));
}

// Plotly reads a few tags in texts; a text of the data must not be taken for one.
function plain(text) {
  return String(text).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;");
}

function registerLanguage() {
  if (LANGUAGE === "en") return;  // its own
  const names = (form, days, options) =>
    days.map((day) => formatter("DateTimeFormat", { ...options, timeZone: "UTC" }).format(dateOf(day)));
  const sundayFirst = [WEEK[6], ...WEEK.slice(0, 6)];
  const months = Array.from({ length: 12 }, (_, index) =>
    `2024-${String(index + 1).padStart(2, "0")}-01`);
  Plotly.register({
    moduleType: "locale", name: LANGUAGE, dictionary: {},
    format: {
      days: names("long", sundayFirst, { weekday: "long" }),
      shortDays: names("short", sundayFirst, { weekday: "short" }),
      months: names("long", months, { month: "long" }),
      shortMonths: names("short", months, { month: "short" }),
      date: "%d/%m/%Y",
    },
  });
}

function layoutOf(settings) {
  const ink = color("ink"), quiet = color("quiet"), line = color("line");
  const axis = { gridcolor: line, linecolor: line, zeroline: false, tickfont: { color: quiet },
    automargin: true, fixedrange: true, ticks: "" };
  const { xaxis, yaxis, ...rest } = settings;
  return {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: ink, size: 12, family: getComputedStyle(document.body).fontFamily },
    margin: { l: 8, r: 8, t: 8, b: 8 },
    hoverlabel: { bgcolor: color("panel"), bordercolor: quiet, font: { color: ink }, align: "left" },
    showlegend: false,
    hovermode: "closest", dragmode: false, bargap: 0.18,
    separators: LANGUAGE === "es" ? ",." : ".,",
    ...rest,
    xaxis: { ...axis, showgrid: false, ...xaxis },
    yaxis: { ...axis, ...yaxis },
  };
}

// Few messages are whole ones: no ticks between them.
function countTicks(most) {
  return most <= 5 ? { tickmode: "linear", tick0: 0, dtick: 1, tickformat: "d" }
    : { tickmode: "auto", nticks: 6, tickformat: ",~r" };
}

function dayAxis(start, end) {
  const days = (dateOf(end) - dateOf(start)) / 86400000;
  return {
    type: "date", range: [`${dayAfter(start, -1)} 12:00`, `${dayAfter(end, -1)} 12:00`],
    tickformat: days > 120 ? "%b %Y" : LANGUAGE === "es" ? "%-d %b" : "%b %-d",
    nticks: days <= 7 ? days : 8, tickangle: 0, ...(days <= 7 ? { dtick: 86400000, tick0: start } : {}),
  };
}

function dayTitle(day) {
  return `${weekday(day)}, ${date(day)}`;
}

// The days of a period of which something may be known: none before the first, none to come.
function knownDays(start, end, today) {
  const first = FIGURES.days?.first;
  const afterToday = dayAfter(today, 1);
  return [first && start < first ? first : start, end > afterToday ? afterToday : end];
}

function deliveryChart() {
  const period = chosenPeriod(), series = chosenSeries();
  const [start, end] = knownDays(period.start, period.end, FIGURES.run.localToday);
  const attempted = daily(series.attempted, start, end);
  const rates = daily(series.deliveryRate, start, end);
  const settled = daily(series.isSettled, start, end);
  if (!attempted.some(({ value }) => value)) return null;
  const isFew = (index) => (attempted[index].value ?? 0) < FEW();
  const enough = rates.filter(({ value }, index) => value !== null && !isFew(index));
  const goal = kpisOf(choice.period).delivery_rate?.goal ?? null;
  const lowest = Math.min(...(enough.length ? enough : rates.filter(({ value }) => value !== null))
    .map(({ value }) => value), goal ?? 1);
  const bottom = Math.max(0, Math.floor((lowest - 0.02) * 20) / 20);
  const line = color("series-1"), quiet = color("quiet"), panel = color("panel");
  const notes = rates.map(({ day, value }, index) => [
    dayTitle(day), `${percent(value)} · ${say("page.sample.messages", { count: number(attempted[index].value) })}`,
    isFew(index) ? say("page.few") : null, settled[index].value ? null : say("page.provisional"),
  ].filter(Boolean).map(plain).join("<br>"));
  const days = rates.map(({ day }) => day);
  const isLong = days.length > 120;
  const most = Math.max(...attempted.map(({ value }) => value ?? 0));
  return {
    label: say("page.delivery"),
    data: [
      { type: "bar", name: say("column.attempted_count"), x: days,
        y: attempted.map(({ value }) => value), yaxis: "y2", hoverinfo: "skip",
        marker: { color: color("bar") } },
      { type: "scatter", mode: "lines+markers", name: say("column.delivery_rate"), x: days,
        y: rates.map(({ value }) => value), connectgaps: false, hovertext: notes,
        hovertemplate: "%{hovertext}<extra></extra>",
        line: { color: line, width: isLong ? 1 : 2 },
        marker: {
          size: isLong ? 3 : 7, line: { width: isLong ? 0.5 : 1.5, color: line },
          color: rates.map((_, index) => isFew(index) ? quiet : settled[index].value ? line : panel),
          symbol: rates.map((_, index) => isFew(index) && !isLong ? "x-thin-open" : "circle"),
        } },
    ],
    layout: {
      xaxis: dayAxis(start, end),
      yaxis: { range: [bottom, 1 + (1 - bottom) * 0.04], tickformat: ".0%", nticks: 6 },
      yaxis2: { overlaying: "y", side: "right", showgrid: false, fixedrange: true, automargin: true,
        tickfont: { color: quiet }, zeroline: false, range: [0, most * 2.6 || 1],
        ...countTicks(most * 2.6) },
      shapes: goal === null ? [] : [{ type: "line", xref: "paper", x0: 0, x1: 1, y0: goal, y1: goal,
        line: { color: color("good"), width: 1.5, dash: "dash" } }],
    },
    legend: [
      { name: say("column.delivery_rate"), color: line, isLine: true },
      { name: say("column.attempted_count"), color: color("bar") },
      ...(goal === null ? [] : [{ color: color("good"), isDashed: true,
        name: say("page.goal", { goal: goalFigure("delivery_rate", goal) }) }]),
    ],
    notes: [
      settled.some(({ value }) => value === false) ? `○ ${say("page.mark.provisional")}` : null,
      attempted.some(({ value }, index) => value && isFew(index))
        ? `${isLong ? "●" : "✕"} ${say("page.mark.few", { count: FEW() })}` : null,
    ],
    table: {
      headings: ["column.message_date", "#column.attempted_count", "#column.delivered_count",
        "#column.delivery_rate", "column.state"],
      rows: rates.map(({ day, value }, index) => [
        dayTitle(day), number(attempted[index].value),
        number(daily(series.delivered, day, dayAfter(day, 1))[0].value), percent(value),
        attempted[index].value === null ? NO_VALUE
          : settled[index].value ? say("page.settled") : say("page.provisional"),
      ]).reverse(),
    },
  };
}

function monthChart() {
  const name = chosenMonth(), series = chosenSeries();
  if (!name || !series.cost) return null;
  const start = `${name}-01`;
  const end = `${dayAfter(start, 31).slice(0, 7)}-01`;
  const costs = daily(series.cost, start, end);
  const settled = daily(series.costIsSettled, start, end);
  if (!costs.some(({ value }) => value !== null)) return null;
  const { currency } = chosenScope();
  return {
    label: say("page.month.daily", { month: month(name) }),
    data: [{
      type: "bar", x: costs.map(({ day }) => day), y: costs.map(({ value }) => value),
      marker: {
        color: color("series-1"), line: { width: 1, color: color("series-1") },
        opacity: settled.map(({ value }) => value ? 1 : 0.5),
      },
      hovertext: costs.map(({ day, value }, index) => [dayTitle(day), money(value, currency),
        settled[index].value ? null : say("page.provisional")].filter(Boolean).map(plain).join("<br>")),
      hovertemplate: "%{hovertext}<extra></extra>",
    }],
    layout: {
      xaxis: { ...dayAxis(start, end), nticks: 6 },
      yaxis: { nticks: 4, rangemode: "tozero", tickformat: ",~r" },
    },
    table: {
      headings: ["column.usage_date", "#column.cost", "column.state"],
      rows: costs.map(({ day, value }, index) => [dayTitle(day), money(value, currency),
        value === null ? NO_VALUE : settled[index].value ? say("page.settled") : say("page.provisional"),
      ]).filter((row) => row[1] !== NO_VALUE),
    },
  };
}

function volumeChart() {
  const period = chosenPeriod();
  const [start, end] = knownDays(period.start, period.end, FIGURES.run.localToday);
  const settled = daily(chosenSeries().isSettled, start, end);
  const series = chosenSeries().channels.filter(([way]) => way === direction)
    .map(([, channel, values], ) => ({ channel, days: daily(values, start, end), ...channelLook(channel) }))
    .filter(({ days }) => days.some(({ value }) => value));
  if (!series.length) return null;
  // How high the axis gets: the highest pile.
  const most = Math.max(...series[0].days.map((_, index) =>
    series.reduce((pile, { days }) => pile + (days[index].value ?? 0), 0)));
  return {
    label: `${say("page.volume")}, ${wordFor("direction", direction)}`,
    data: series.map(({ channel, days, color: tone, pattern }) => ({
      type: "bar", name: plain(wordFor("channel", channel)), x: days.map(({ day }) => day),
      y: days.map(({ value }) => value),
      marker: { color: tone, pattern: { shape: pattern },
        opacity: settled.map(({ value }) => value === false ? 0.55 : 1) },
      hovertext: days.map(({ day, value }, index) => [dayTitle(day),
        `${wordFor("channel", channel)}: ${number(value)}`,
        settled[index].value === false ? say("page.provisional") : null,
      ].filter(Boolean).map(plain).join("<br>")),
      hovertemplate: "%{hovertext}<extra></extra>",
    })),
    layout: { barmode: "stack", xaxis: dayAxis(start, end),
      yaxis: { ...countTicks(most), rangemode: "tozero" } },
    legend: series.map(({ channel, ...look }) => ({ name: wordFor("channel", channel), ...look })),
    notes: [settled.some(({ value }) => value === false) ? say("page.mark.pale") : null],
    table: {
      headings: ["column.message_date", ...series.map(({ channel }) => `#=${wordFor("channel", channel)}`)],
      rows: series[0].days.map(({ day }, index) =>
        [dayTitle(day), ...series.map(({ days }) => number(days[index].value))]).reverse(),
    },
  };
}

function hoursChart() {
  const week = chosenRows("hours");
  if (!week.length) return null;
  const [attempted, rates] = week;
  const days = WEEK.map((day) => capital(weekday(day, "short")));
  const cell = (values, day, hour) => values[day * 24 + hour];
  const grid = (read) => WEEK.map((_, day) => Array.from({ length: 24 }, (_, hour) => read(day, hour)));
  const enough = rates.filter((rate, index) => rate !== null && attempted[index] >= FEW());
  const lowest = enough.length ? Math.min(...enough) : Math.min(...rates.filter((rate) => rate !== null));
  const bottom = Math.min(0.95, Math.floor(lowest * 20) / 20);
  return {
    label: say("page.hours"),
    data: [{
      type: "heatmap", x: Array.from({ length: 24 }, (_, hour) => hour), y: days,
      z: grid((day, hour) => cell(rates, day, hour)), zmin: bottom, zmax: 1, xgap: 1, ygap: 1,
      colorscale: [[0, color("heat-low")], [0.5, color("heat-middle")], [1, color("heat-high")]],
      text: grid((day, hour) => cell(rates, day, hour) !== null && cell(attempted, day, hour) < FEW() ? "·" : ""),
      texttemplate: "%{text}", textfont: { color: color("ink"), size: 14 },
      hovertext: grid((day, hour) => [
        `${capital(weekday(WEEK[day], "long"))}, ${hour}:00–${hour + 1}:00`,
        `${percent(cell(rates, day, hour))} · ${say("page.sample.messages", { count: number(cell(attempted, day, hour) ?? 0) })}`,
        (cell(attempted, day, hour) ?? 0) < FEW() ? say("page.few") : null,
      ].filter(Boolean).map(plain).join("<br>")),
      hovertemplate: "%{hovertext}<extra></extra>", hoverongaps: false,
      colorbar: { orientation: "h", y: -0.14, yanchor: "top", thickness: 10, len: 1, tickformat: ".0%",
        nticks: 5, outlinewidth: 0, tickfont: { color: color("quiet") } },
    }],
    layout: {
      xaxis: { tickvals: [0, 6, 12, 18, 23], ticktext: ["0 h", "6 h", "12 h", "18 h", "23 h"], tickangle: 0 },
      yaxis: { autorange: "reversed", showgrid: false },
    },
    notes: [`· ${say("page.mark.few", { count: FEW() })}`],
    table: {
      headings: ["column.message_hour", ...WEEK.map((day) => `#=${capital(weekday(day, "short"))}`)],
      rows: Array.from({ length: 24 }, (_, hour) => [`${hour}:00`,
        ...WEEK.map((_, day) => cell(attempted, day, hour) === null ? NO_VALUE
          : `${percent(cell(rates, day, hour))} (${number(cell(attempted, day, hour))})`)]),
    },
  };
}

function costsChart() {
  const { currency } = chosenScope();
  const allMonths = FIGURES.periods.filter((row) => row[1] === "month").map((row) => row[0]).sort();
  const hasCosts = (name) => chosenRows("categories", name).length > 0;
  // One without costs between others keeps its place, empty.
  const months = allMonths.slice(allMonths.findIndex(hasCosts), allMonths.findLastIndex(hasCosts) + 1);
  if (!months.some(hasCosts)) return null;
  const cost = {};
  for (const name of months) {
    for (const [category, value] of chosenRows("categories", name)) {
      (cost[category] ??= {})[name] = value;
    }
  }
  // The categories of the whole time come by cost; a colour stays with its category.
  const known = chosenRows("categories", "all").map(([category]) => category);
  const categories = known.filter((category) => category in cost);
  const isSettled = (name) => !hasCosts(name) || kpisOf(name).total_cost?.isSettled;
  const label = (name) => capital(date(`${name}-01`, { month: "short" })) + `<br>${name.slice(0, 4)}`
    + (isSettled(name) ? "" : "*");
  return {
    label: say("page.costs"),
    data: categories.map((category, index) => {
      const { color: tone, pattern } = seriesLook(index);
      return {
        type: "bar", name: plain(FIGURES.categoryTitles[category] ?? category), x: months,
        y: months.map((name) => cost[category][name] ?? null),
        marker: { color: tone, pattern: { shape: pattern },
          opacity: months.map((name) => isSettled(name) ? 1 : 0.6) },
        hovertext: months.map((name) => [capital(month(name)), FIGURES.categoryTitles[category] ?? category,
          money(cost[category][name], currency), isSettled(name) ? null : say("page.provisional"),
        ].filter(Boolean).map(plain).join("<br>")),
        hovertemplate: "%{hovertext}<extra></extra>",
      };
    }),
    layout: {
      barmode: "relative", bargap: months.length < 4 ? 0.6 : 0.25,
      xaxis: { type: "category", tickvals: months, ticktext: months.map(label), tickangle: 0 },
      yaxis: { tickformat: ",~r", nticks: 6 },
    },
    legend: categories.map((category, index) =>
      ({ name: FIGURES.categoryTitles[category] ?? category, ...seriesLook(index) })),
    notes: [months.some((name) => !isSettled(name)) ? `* ${say("page.provisional.about")}` : null],
    table: {
      headings: ["column.cost_category", ...months.map((name) => `#=${capital(month(name, "short"))}`)],
      rows: [...categories.map((category) => [FIGURES.categoryTitles[category] ?? category,
        ...months.map((name) => money(cost[category][name], currency))]),
      [say("page.total"), ...months.map((name) => money(kpisOf(name).total_cost?.value, currency))]],
    },
  };
}

const CHARTS = {
  delivery: deliveryChart, month: monthChart, volume: volumeChart, hours: hoursChart, costs: costsChart,
};
const OPTIONS = { displayModeBar: false, responsive: true, locale: LANGUAGE, scrollZoom: false };

// Each figure keeps its parts, so that an open table stays open when another period is chosen.
function partsOf(name) {
  const holder = document.querySelector(`[data-chart="${name}"]`);
  if (!holder.children.length) {
    holder.append(
      element("div", {}),
      element("div", { class: "plot", role: "img" }),
      element("p", { class: "empty", hidden: true }, say("page.no_figures")),
      element("p", { class: "quiet" }),
      element("details", {}, element("summary", {}, say("page.as_table")), element("div", {})));
    holder.querySelector("details").addEventListener("toggle", () => fillTable(name));
  }
  const [legend, plot, empty, notes, details] = holder.children;
  return { legend, plot, empty, notes, details };
}

const tables = {};
function fillTable(name) {
  const { details } = partsOf(name);
  if (!details.open || !tables[name]) return;
  const { headings, rows, label } = tables[name];
  details.lastChild.replaceChildren(table(label, headings, rows));
}

function drawChart(name) {
  const { legend, plot, empty, notes, details } = partsOf(name);
  const chart = CHARTS[name]();
  empty.hidden = Boolean(chart);
  plot.hidden = details.hidden = legend.hidden = notes.hidden = !chart;
  if (!chart) { if (plot.data) Plotly.purge(plot); return null; }
  plot.setAttribute("aria-label", `${chart.label}. ${say("page.as_table.hint")}`);
  legend.replaceChildren(...(chart.legend ? [legendOf(chart.legend)] : []));
  notes.textContent = (chart.notes ?? []).filter(Boolean).join(" · ");
  tables[name] = { ...chart.table, label: chart.label };
  fillTable(name);
  return Plotly.react(plot, chart.data, layoutOf(chart.layout), OPTIONS);
}

// One after another, those in sight first: figures can be read and chosen in between.
let drawing = 0;
async function drawCharts(names = Object.keys(CHARTS)) {
  if (!("Plotly" in window)) return;  // they follow as soon as it is there
  const mine = ++drawing;
  for (const name of names) {
    await drawChart(name);
    await new Promise((resolve) => setTimeout(resolve));
    if (mine !== drawing) return;
  }
  document.documentElement.dataset.drawn = `${choice.period} ${choice.scope}`;
}
