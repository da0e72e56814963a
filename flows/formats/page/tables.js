// Tables: rows of texts or elements under headings. A heading that begins with # is of numbers,
// one that begins with = is a text of its own instead of a text's key.
let dimension = "channel";

function heading(key) {
  const isNumber = key.startsWith("#");
  const name = isNumber ? key.slice(1) : key;
  const text = name.startsWith("=") ? name.slice(1) : say(name);
  return element("th", { scope: "col", class: isNumber ? "count" : null }, text);
}

function table(caption, headings, rows, className, few = Infinity) {
  const isNumber = headings.map((key) => key.startsWith("#"));
  return element("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    element("table", { class: className },
      element("thead", {}, element("tr", {}, headings.map(heading))),
      element("tbody", {}, rows.map((cells, position) => element("tr",
        { class: position >= few ? "rest" : null }, cells.map((cell, index) =>
        cell instanceof HTMLTableCellElement ? cell
        : element(index ? "td" : "th",
          { scope: index ? null : "row", class: isNumber[index] ? "count" : null }, cell)))))));
}

// The first rows of a long table, and a button for the rest; on paper there are all of them.
function longTable(id, caption, headings, rows, count, className) {
  const isLong = rows.length > count + 2;
  const holder = table(caption, headings, rows, className, isLong ? count : Infinity);
  if (!isLong) { replaceContents(id, holder); return; }
  holder.classList.add("short");
  const button = element("button", { type: "button", class: "more" },
    say("page.show_all", { count: number(rows.length) }));
  button.addEventListener("click", () => {
    holder.classList.remove("short");
    button.remove();
    holder.focus();
  });
  replaceContents(id, holder, button);
}

function dayCell(text) {
  return element("td", { class: "day" }, text);
}

function shareCell(share) {
  const width = `${Math.max(0, Math.min(100, (share ?? 0) * 100))}%`;
  return element("td", { class: "count share" }, percent(share),
    element("span", { class: "meter", "aria-hidden": "true" }, element("i", { style: { width } })));
}

function rateCell(rate, count) {
  const isFew = count !== null && count < FEW() && rate !== null;
  return element("td", { class: isFew ? "count quiet" : "count", title: isFew ? say("page.few") : null },
    percent(rate), isFew ? "*" : null);
}

function tabs(id, names, chosen, wordOf, choose) {
  const holder = document.getElementById(id);
  holder.replaceChildren(holder.firstElementChild, ...names.map((name) => {
    const input = element("input", { type: "radio", name: id, value: name, checked: name === chosen });
    input.addEventListener("change", () => choose(name));
    return element("label", {}, input, wordOf(name));
  }));
}

function showDirections() {
  const found = [...new Set(chosenSeries().channels.map(([way]) => way))];
  const ways = ["outbound", "inbound", "unknown"].filter((way) => found.includes(way));
  if (ways.length && !ways.includes(direction)) direction = ways[0];
  tabs("direction", ways, direction, (way) => say(`page.direction.${way}`), (way) => {
    direction = way;
    drawCharts(["volume"]);
  });
}

const DIMENSIONS = ["channel", "country", "sender", "messaging_service"];

function memberName(member) {
  if (member === null) return say(`page.dimension.${dimension}.none`);
  if (dimension === "country") return FIGURES.countries[member] ?? member;
  return dimension === "channel" ? wordFor("channel", member) : member;
}

function showGroups() {
  tabs("dimension", DIMENSIONS, dimension, (name) => say(`page.dimension.${name}`), (name) => {
    dimension = name;
    showGroupTable();
  });
  showGroupTable();
}

function showGroupTable() {
  const { currency } = chosenScope();
  const rows = chosenRows("groups").filter(([name]) => name === dimension);
  if (!rows.length) {
    replaceContents("groups", element("p", { class: "empty" }, say("page.no_figures")));
    return;
  }
  const isShort = rows.some(([, , , , attempted]) => attempted > 0 && attempted < FEW());
  replaceContents("groups", table(say("page.groups"), [
    `=${say(`page.dimension.${dimension}`)}`, "#column.message_count", "#column.inbound_count",
    "#column.attempted_count", "#column.delivery_rate", "#page.error_rate", "#column.message_cost",
    "#column.unpriced_count",
  ], rows.map(([, member, messages, inbound, attempted, rate, errors, cost, unpriced]) => [
    memberName(member), number(messages), number(inbound), number(attempted),
    rateCell(rate, attempted), rateCell(errors, attempted), money(cost, currency), number(unpriced),
  ])), isShort ? element("p", { class: "quiet" }, `* ${say("page.mark.few", { count: FEW() })}`) : null);
}

function errorName(code) {
  const [, , , , , url] = FIGURES.errorTexts[code] ?? [];
  if (code === 0) return NO_VALUE;
  if (!/^https:\/\/www\.twilio\.com\//.test(url ?? "")) return String(code);
  return element("a", { href: url, rel: "noopener noreferrer", target: "_blank",
    "aria-label": say("page.errors.link", { code }) }, String(code));
}

function errorMeaning(code) {
  const [title, cause, remedy, isBlocked, isRetryable] = FIGURES.errorTexts[code] ?? [];
  const tag = (isIt, key) => isIt ? element("span", { class: "tag" }, say(key)) : null;
  return element("td", { class: "meaning" },
    element("strong", {}, title ?? NO_VALUE), " ", tag(isBlocked, "column.is_blocked"),
    tag(isRetryable, "column.is_retryable"),
    element("div", { class: "cause" }, cause ?? ""),
    element("div", { class: "remedy" }, element("strong", {}, `${say("column.remedy")}: `), remedy ?? ""));
}

function showErrors() {
  const rows = chosenRows("errors");
  const { currency } = chosenScope();
  if (!rows.length) {
    replaceContents("errors", element("p", { class: "empty" }, say("page.errors.none")));
    return;
  }
  longTable("errors", say("page.errors"), [
    "column.error_code", "#column.message_count", "column.title", "#column.failed_count",
    "#column.share_of_attempted", "#column.message_cost", "page.last_day",
  ], rows.map(([code, messages, failed, share, cost, last]) => [
    errorName(code), number(messages), errorMeaning(code), number(failed), shareCell(share),
    money(cost, currency), dayCell(date(last)),
  ]), 8, "errors");
}

function showCategories() {
  const { currency } = chosenScope();
  const rows = chosenRows("categories");
  if (!rows.length) {
    replaceContents("categories", element("p", { class: "empty" }, say("page.no_figures")));
    return;
  }
  const total = kpisOf(choice.period).total_cost;
  replaceContents("categories", table(say("page.categories"),
    ["column.cost_category", "#column.cost", "#page.share", "#page.count"],
    [...rows.map(([category, cost, share, count]) => [
      FIGURES.categoryTitles[category] ?? category, money(cost, currency), shareCell(share), number(count),
    ]), ...(total ? [[say("page.total"),
      element("td", { class: "count" }, element("strong", {}, shown("total_cost", total))), "", ""]] : [])]),
  total && !total.isSettled ? element("p", { class: "quiet" }, say("page.costs.provisional")) : null);
}

// Categories that overlap, or figures of Twilio's that still move: shown as they are, not in silence.
function showOverlaps() {
  const { currency } = chosenScope();
  const holder = document.getElementById("overlaps");
  const rows = ofChosenAccounts(FIGURES.overlaps, 1);
  holder.hidden = !rows.length;
  holder.replaceChildren(...(rows.length ? [
    element("p", {}, element("strong", { "aria-hidden": "true" }, "⚠ "),
      say("page.overlaps", { other: FIGURES.categoryTitles.other ?? "other" })),
    element("ul", {}, rows.map(([start, sid, cost]) => element("li", {},
      `${capital(month(start.slice(0, 7)))} · ${accountName(sid)}: `,
      element("strong", {}, money(cost, currency))))),
  ] : []));
}

function showRecipients() {
  const { currency } = chosenScope();
  const rows = chosenRows("recipients");
  if (!rows.length) {
    replaceContents("recipients", element("p", { class: "empty" }, say("page.no_figures")));
    return;
  }
  longTable("recipients", say("page.recipients"), [
    "#column.recipient_rank", "column.recipient", "column.country", "#column.message_count",
    "#column.delivered_count", "#column.failed_count", "#column.reply_count", "#column.message_cost",
    "page.last_message",
  ], rows.map(([rank, recipient, country, messages, delivered, failed, cost, replies, last]) => [
    number(rank), recipient, country ? FIGURES.countries[country] ?? country : NO_VALUE,
    number(messages), number(delivered), number(failed), number(replies), money(cost, currency),
    dayCell(instant(last)),
  ]), 10);
}

const STATES = {
  complete: "complete", short: "short", over: "over", "not extracted": "unread", "no usage": "nousage",
};

// One small field a day: is what we hold what Twilio billed?
function strip(group, days) {
  const drawing = element("svg", {
    viewBox: `0 0 ${days.length * 10} 20`, preserveAspectRatio: "none", role: "img",
    "aria-label": group,
  });
  days.forEach(({ day, value }, index) => {
    const isApart = days.length <= 120;
    drawing.append(element("rect", {
      x: index * 10 + (isApart ? 0.7 : 0), y: 0, width: isApart ? 8.6 : 10, height: 20,
      class: `state-${STATES[value] ?? "none"}`,
    }, element("title", {}, `${dayTitle(day)}: ${value ? wordFor("state", value) : NO_VALUE}`)));
  });
  return drawing;
}

function groupName(group) {
  return capital(TEXTS[`value.channel_group.${group}`] ?? wordFor("channel", group));
}

function showCompleteness() {
  const period = chosenPeriod();
  const rows = chosenRows("completeness");
  const groups = [...new Set(rows.map(([group]) => group))];
  if (!groups.length) {
    replaceContents("completeness", element("p", { class: "empty" }, say("page.no_figures")));
    return;
  }
  const [start, end] = knownDays(period.gmtStart, period.gmtEnd, FIGURES.run.gmtToday);
  const counts = (group) => rows.filter(([name]) => name === group)
    .map(([, state, count]) => `${wordFor("state", state)}: ${number(count)}`).join(" · ");
  const gaps = ofChosenAccounts(FIGURES.gaps, 1).filter(([day]) => day >= start && day < end);
  replaceContents("completeness",
    element("ul", { class: "legend" }, Object.entries(STATES).map(([state, name]) => element("li", {},
      element("i", { class: `state-${name}` }), element("span", {}, wordFor("state", state))))),
    element("div", { class: "strip" }, groups.flatMap((group) => [
      element("div", {}, element("strong", {}, groupName(group)),
        element("div", { class: "quiet" }, say("page.days", { states: counts(group) }))),
      strip(`${groupName(group)}: ${counts(group)}`,
        daily(chosenSeries().completeness?.[group], start, end)),
    ])),
    gaps.length ? gapTable(gaps) : element("p", { class: "good" }, `✓ ${say("page.gaps.none")}`));
}

function gapTable(gaps) {
  return element("details", {},
    element("summary", {}, say("page.gaps", { count: number(gaps.length) })),
    table(say("page.completeness"), [
      "column.usage_date", "column.account_sid", "column.channel_group", "column.state",
      "#column.message_count", "#column.usage_count", "#column.difference",
    ], gaps.map(([day, account, group, state, held, billed, difference]) => [
      date(day), accountName(account), groupName(group), wordFor("state", state),
      number(held), number(billed), number(difference),
    ])));
}

function showFreshness() {
  const rows = chosenAccounts();
  if (!rows.length) {
    replaceContents("freshness", element("p", { class: "empty" }, say("page.no_figures")));
    return;
  }
  replaceContents("freshness", table(say("page.freshness"), [
    "column.account_name", "column.status", "sheet.read_from", "sheet.read_until", "page.messages_read_at",
    "page.usage_read_at", "column.outcome",
  ], rows.map(([sid, name, status, from, until, messagesAt, usageAt, outcome]) => [
    name || sid, status ? wordFor("account_status", status) : NO_VALUE, instant(from), instant(until),
    instant(messagesAt), instant(usageAt),
    element("td", { class: ["ok", "empty"].includes(outcome) ? null : "bad" },
      outcome ? wordFor("outcome", outcome) : NO_VALUE),
  ])), FIGURES.run.rejectCount ? element("p", { class: "unsure" },
    say("page.rejects", { count: number(FIGURES.run.rejectCount) })) : null);
}
