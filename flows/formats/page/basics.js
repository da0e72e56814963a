// What everything else needs: texts, formats by language, and elements made of text, never markup.
const TEXTS = JSON.parse(document.getElementById("texts").textContent);
const LANGUAGE = document.documentElement.lang;
const NO_VALUE = "–";

function say(key, values) {
  const text = TEXTS[key] ?? key;
  return values ? text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole) : text;
}

// A code in words; itself if nobody has put it into words.
function wordFor(column, code) {
  return TEXTS[`value.${column}.${code}`] ?? code;
}

function element(name, attributes, ...children) {
  const isDrawing = ["svg", "polyline", "line", "path", "rect", "title"].includes(name);
  const made = isDrawing
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes ?? {})) {
    if (value === undefined || value === null || value === false) continue;
    if (key === "style") Object.assign(made.style, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return made;
}

function replaceContents(id, ...children) {
  document.getElementById(id).replaceChildren(...children.flat().filter(Boolean));
}

const formatters = {};
function formatter(kind, options) {
  const key = kind + JSON.stringify(options);
  formatters[key] ??= new Intl[kind](LANGUAGE, options);
  return formatters[key];
}

function number(value, decimals = 0) {
  if (value === null || value === undefined) return NO_VALUE;
  return formatter("NumberFormat", {
    useGrouping: "always", minimumFractionDigits: decimals, maximumFractionDigits: decimals,
  }).format(value);
}

// A rate; what is not quite all is never shown as all, nor what is not quite nothing as nothing.
function percent(value, decimals = 1) {
  if (value === null || value === undefined) return NO_VALUE;
  const format = formatter("NumberFormat",
    { style: "percent", minimumFractionDigits: decimals, maximumFractionDigits: 1 });
  if (value > 0 && value < 0.001) return `<${format.format(0.001)}`;
  if (value > 0.999 && value < 1) return `>${format.format(0.999)}`;
  return format.format(value);
}

function money(value, currency, isPerPiece = false) {
  if (value === null || value === undefined) return NO_VALUE;
  const decimals = isPerPiece ? 4 : 2;
  const options = {
    useGrouping: "always", minimumFractionDigits: decimals, maximumFractionDigits: decimals,
  };
  if (/^[A-Z]{3}$/.test(currency ?? "")) Object.assign(options, { style: "currency", currency });
  return formatter("NumberFormat", options).format(value);
}

function byUnit(value, unit, currency, isPerPiece) {
  if (value === null || value === undefined) return NO_VALUE;
  if (unit === "share") return percent(value);
  if (unit === "money") return money(value, currency, isPerPiece);
  if (unit === "seconds") return `${number(value, value < 100 && value % 1 ? 1 : 0)} s`;
  return number(value, value % 1 ? 1 : 0);
}

// Days are days of their own calendar: never shifted by the reader's time zone.
function dateOf(day) {
  return new Date(`${day}T00:00:00Z`);
}

function date(day, options = { day: "numeric", month: "short", year: "numeric" }) {
  if (!day) return NO_VALUE;
  return formatter("DateTimeFormat", { ...options, timeZone: "UTC" }).format(dateOf(day));
}

function weekday(day, form = "short") {
  return formatter("DateTimeFormat", { weekday: form, timeZone: "UTC" }).format(dateOf(day));
}

function month(name, form = "long") {
  return date(`${name}-01`, { month: form, year: "numeric" });
}

function instant(moment) {
  if (!moment) return NO_VALUE;
  const options = { dateStyle: "medium", timeStyle: "short", timeZone: "UTC", hourCycle: "h23" };
  return formatter("DateTimeFormat", options).format(new Date(`${moment}Z`));
}

function capital(text) {
  return text.charAt(0).toLocaleUpperCase(LANGUAGE) + text.slice(1);
}

function dayAfter(day, count) {
  return new Date(dateOf(day).getTime() + count * 86400000).toISOString().slice(0, 10);
}

// Text that is compressed to keep the page small.
async function unpack(id) {
  const packed = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(packed.length);
  for (let index = 0; index < packed.length; index++) bytes[index] = packed.charCodeAt(index);
  const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(unpacked).text();
}
