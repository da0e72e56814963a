// What is chosen, and the figures of the choice. Nothing is computed here: SQL did.
let FIGURES = null;
const choice = { period: null, scope: null };

function chosenPeriod() {
  const [name, kind, start, end, gmtStart, gmtEnd] =
    FIGURES.periods.find((period) => period[0] === choice.period) ?? [];
  return { name, kind, start, end, gmtStart, gmtEnd };
}

function chosenScope() {
  const [id, currency, isAll, hasBudget, accountCount, name] =
    FIGURES.scopes.find((scope) => scope[0] === choice.scope) ?? [];
  return { id, currency, isAll, hasBudget, accountCount, name };
}

function chosenRows(table, period = choice.period, scope = choice.scope) {
  return FIGURES[table][period]?.[scope] ?? [];
}

function kpisOf(period, scope = choice.scope) {
  return Object.fromEntries(chosenRows("kpis", period, scope).map((row) => {
    const [kpi, value, goal, comparison, isMet, denominator, isSettled, previous, change] = row;
    return [kpi, { value, goal, comparison, isMet, denominator, isSettled, previous, change }];
  }));
}

function definitionOf(kpi) {
  const [, title, description, unit, direction, minimumSample, calendar] =
    FIGURES.definitions.find((row) => row[0] === kpi) ?? [kpi, kpi];
  return { title, description, unit, direction, minimumSample, calendar };
}

// A daily series of the chosen account, cut to some days: [{ day, value }].
function daily(series, start, end) {
  if (!series || !FIGURES.days) return [];
  const offset = (dateOf(start) - dateOf(FIGURES.days.first)) / 86400000;
  const length = (dateOf(end) - dateOf(start)) / 86400000;
  const found = [];
  for (let index = Math.max(offset, 0); index < Math.min(offset + length, series.length); index++) {
    found.push({ day: dayAfter(FIGURES.days.first, index), value: series[index] });
  }
  return found;
}

function chosenSeries() {
  return FIGURES.days?.series[choice.scope] ?? { channels: [], kpis: {}, completeness: {} };
}

// The month whose cost is shown: the one chosen, else the running one.
function chosenMonth() {
  const period = chosenPeriod();
  if (period.kind === "month") return period.name;
  const today = FIGURES.run.gmtToday?.slice(0, 7);
  const months = FIGURES.periods.filter((row) => row[1] === "month").map((row) => row[0]);
  return months.includes(today) ? today : months[0];
}

function periodName(name) {
  return /^\d{4}-\d{2}$/.test(name) ? capital(month(name)) : say(`page.period.${name}`);
}

// One account alone needs no choice: all of them is the same.
function isOnlyAccount() {
  return FIGURES.scopes.length === 2;
}

// What can be chosen in the list of accounts.
function offeredScopes() {
  return isOnlyAccount() ? FIGURES.scopes.slice(0, 1) : FIGURES.scopes;
}

// All accounts of each currency: more than one where there are several.
function currencyScopes() {
  return FIGURES.scopes.filter(([, , isAll]) => isAll);
}

function scopeName(id, name, isAll) {
  if (!isAll) return name || id;
  if (isOnlyAccount()) return FIGURES.scopes[1][5] || FIGURES.scopes[1][0];
  const currency = id.split(" ")[1];
  return say("page.all_accounts") + (currency ? ` (${currency})` : "");
}

// The accounts of what is chosen: [sid, name, …].
function chosenAccounts() {
  return FIGURES.freshness[choice.scope] ?? [];
}

function accountName(sid) {
  return chosenAccounts().find((account) => account[0] === sid)?.[1] || sid;
}

function ofChosenAccounts(rows, index) {
  const sids = new Set(chosenAccounts().map(([sid]) => sid));
  return rows.filter((row) => sids.has(row[index]));
}
